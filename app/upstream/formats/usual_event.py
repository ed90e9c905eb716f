"""Reads the events of a stream that are one event with another text in it, without decoding each.

Providers write event after event with the same bytes but for the text, and where they pad it, for the padding. Once
one of them was decoded, the others say the same: what is to be read of them is how long their text is.
"""

import re
from typing import Any

import msgspec

from app.upstream.formats.usage_chunk import COMPACT

_PADDING = b'"obfuscation":"'
_BETWEEN = b'"]\n["'
_TO_ITS_QUOTE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

_TEXT = msgspec.json.Decoder(str).decode
_TEXTS = msgspec.json.Decoder(tuple[str]).decode_lines
_PADDED_TEXTS = msgspec.json.Decoder(tuple[str, str]).decode_lines


class UsualEvent:
    """One event of a stream, cut at its text: `begin`, text, `end`, or `begin`, text, `middle`, padding, `end`."""

    model: str | None = None
    tier: str | None = None

    def __init__(self, begin: bytes, middle: bytes, end: bytes, *, has_null_usage: bool) -> None:
        self.begin = begin
        self.end = end
        self.has_null_usage = has_null_usage
        self._middle = middle
        self._between = end + begin
        self._text = slice(len(begin), 2 - len(end))
        self._bare_begin = begin.replace(COMPACT, b"")
        self._bare_end = end.replace(COMPACT, b"")
        self._bare_between = self._bare_end + self._bare_begin

    def only_text(self, event: bytes) -> tuple[bytes, int] | None:
        """What stands between `begin` and `end` of one event, and the characters of its text; None if it is another."""
        if len(event) > 2 * len(self._between):
            return None
        between = event[len(self.begin) : -len(self.end)]
        if self.begin + between + self.end != event:
            return None
        try:
            if not self._middle:
                return between, len(_TEXT(b'"' + between + b'"'))
            text, found, padding = between.partition(self._middle)
            if not found:
                return None
            _TEXT(b'"' + padding + b'"')
            return between, len(_TEXT(b'"' + text + b'"'))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def texts_in(self, events: bytes) -> list[bytes] | None:
        """What stands between `begin` and `end` of each event; None if one of them is another.

        `events` begins with `begin` and ends with `end`.
        """
        lines = events.split(b"\n")
        del lines[-2:]
        texts = [line[self._text] for line in lines[::2]]
        return texts if self.begin + self._between.join(texts) + self.end == events else None

    def characters(self, texts: list[bytes]) -> int | None:
        """How many characters these texts have together; None if one of them is no text."""
        # A line each, and no text goes on over the end of its line: as many arrays of the right length as there are
        # lines means that each line is one.
        lines = b'["' + _BETWEEN.join(texts) + b'"]'
        read: Any = _TEXTS
        if self._middle:
            if lines.count(self._middle) != len(texts):
                return None
            lines, read = lines.replace(self._middle, b'","'), _PADDED_TEXTS
        try:
            decoded = read(lines)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return sum([len(each[0]) for each in decoded]) if len(decoded) == len(texts) else None

    def without_null_usage(self, texts: list[bytes]) -> bytes:
        """The events with these texts as they are without `"usage":null`."""
        if COMPACT in self._middle:
            texts = [text.replace(COMPACT, b"") for text in texts]
        return self._bare_begin + self._bare_between.join(texts) + self._bare_end


def usual_event(data: bytes, key: str, text: str, *, has_null_usage: bool) -> UsualEvent | None:
    """The payload of a decoded event as the usual one; None if there is a doubt which of its bytes are its text.

    `text` is all the text that it has, under `key`; it has no usage, or one that is null.
    """
    quoted = f'"{key}"'.encode()
    begin, found, rest = data.partition(quoted + b':"')
    written = _TO_ITS_QUOTE.match(rest)
    if not found or written is None or _TEXT(b'"' + written.group()) != text:
        return None
    rest = rest[written.end() - 1 :]
    frame = begin + rest
    # Without a backslash each quote begins or ends a string, so a key that is there once is the one that was decoded.
    if b"\\" in frame or b"\n" in frame or b"\r" in frame or quoted in frame:
        return None
    if not frame.count(b'"usage"') == frame.count(COMPACT) == has_null_usage:
        return None
    begin, rest = b"data: " + begin + found, rest + b"\n\n"
    middle, padding, end = rest.partition(_PADDING)
    if not padding or frame.count(_PADDING) != 1:
        return UsualEvent(begin, b"", rest, has_null_usage=has_null_usage)
    return UsualEvent(begin, middle + padding, end[end.index(b'"') :], has_null_usage=has_null_usage)
