"""Splits a byte stream into server-sent events: one pass, bounded memory, any cut of the bytes.

Lines end with CRLF, LF or CR; the colon of a field may be followed by one space; several `data` lines make one
payload; a byte order mark at the start and comments are passed over (WHATWG HTML, section 9.2). Providers stop at
the last event without its blank line, so what is left at the end counts as an event too.
"""

from typing import NamedTuple

MAX_EVENT_BYTES = 1024 * 1024
"""A longer event is not kept: its bytes pass, and only its first and last KEPT_OF_OVERSIZED bytes are looked at."""

KEPT_OF_OVERSIZED = 64 * 1024

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event. `data` is None where there was no `data` line (comments, blank lines) or the event was oversized.

    `raw` holds the event's own bytes, its blank line included, and is empty unless the splitter keeps them.
    `name` is the value of the last `event` line.
    """

    data: bytes | None
    raw: bytes = b""
    name: bytes = b""
    plain: bool = True
    """True if the event had nothing but `data` and `event` lines."""
    cut: tuple[bytes, bytes] | None = None
    """First and last bytes of an oversized event."""


class SseSplitter:
    """Fed with the chunks of a stream, gives the events they complete.

    With `keep_raw` the `raw` bytes of all events, in order, are exactly the bytes that came; an oversized event is
    then given out in pieces with `data` None as it comes. Where such an event ends, one more comes whose `cut` is set.
    """

    def __init__(self, *, keep_raw: bool = False) -> None:
        self._keep_raw = keep_raw
        self._at_start = True
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._data: list[bytes] = []
        self._raw: list[bytes] = []
        self._name = b""
        self._plain = True
        self._event_bytes = 0
        self._after_cr = False
        self._skipping = False
        self._head = b""
        self._tail = bytearray()
        self._tail_ends_line = False

    @property
    def held(self) -> bytes:
        """Bytes that came and were not yet given out as `raw` (only with `keep_raw`)."""
        return b"".join(self._raw) + b"".join(self._partial)

    def begins_event(self, chunk: bytes) -> bool:
        """True if `chunk` begins with the first byte of an event; the caller may then read it past this splitter."""
        if self._partial or self._event_bytes or self._after_cr or self._skipping:
            return False
        if self._at_start:
            self._at_start = chunk[:1] != b"d"
        return not self._at_start

    def feed(self, chunk: bytes) -> list[Event]:
        """Events that `chunk` completes; with `keep_raw` also comments and blank lines, as events without data."""
        if not chunk:
            return []
        if not (self._partial or self._event_bytes or self._after_cr or self._at_start):
            quick = self._whole_events(chunk)
            if quick is not None:
                return quick
        if self._after_cr or self._at_start:
            return self._feed_at_edge(chunk)
        return self._feed_lines(chunk)

    def finish(self) -> list[Event]:
        """The event that the end of the stream completes, if any."""
        events: list[Event] = []
        rest = b"".join(self._partial)
        self._partial, self._partial_bytes = [], 0
        if rest:
            self._line(rest, events)
        if self._skipping:
            self._end_oversized(events)
        elif self._event_bytes:
            self._dispatch(events)
        return events

    def _whole_events(self, chunk: bytes) -> list[Event] | None:
        # Nearly every chunk of every provider is one or more whole events with LF line ends; None if this one is not.
        if chunk[-2:] != b"\n\n" or b"\r" in chunk or len(chunk) > MAX_EVENT_BYTES:
            return None
        events: list[Event] = []
        keep = self._keep_raw
        for block in chunk[:-2].split(b"\n\n"):
            if block[:5] == b"data:":
                name, data = b"", block[5:]
            elif block[:6] == b"event:":
                head, _, data = block.partition(b"\n")
                if data[:5] != b"data:":
                    return None
                name, data = head[6:].strip(), data[5:]
            else:
                return None
            if b"\n" in data:
                return None
            events.append(Event(data[1:] if data[:1] == b" " else data, block + b"\n\n" if keep else b"", name))
        return events

    def _feed_at_edge(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._after_cr and chunk:
            # The LF of a CRLF that was cut in two belongs to the line before.
            self._after_cr = False
            if chunk[:1] == b"\n":
                if self._raw:
                    self._raw.append(b"\n")
                elif self._keep_raw:
                    events.append(Event(None, b"\n"))
                chunk = chunk[1:]
        if self._at_start:
            begin = b"".join(self._partial) + chunk
            if len(begin) < len(_BOM) and _BOM.startswith(begin):
                self._partial, self._partial_bytes = ([begin], len(begin)) if begin else ([], 0)
                return events
            self._at_start = False
            self._partial, self._partial_bytes = [], 0
            chunk = begin
            if begin.startswith(_BOM):
                chunk = begin[len(_BOM) :]
                if self._keep_raw:
                    events.append(Event(None, _BOM))
        events.extend(self.feed(chunk))
        return events

    def _feed_lines(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk, events)
            return events
        if self._partial:
            chunk = b"".join(self._partial) + chunk
            self._partial, self._partial_bytes = [], 0
        lines = chunk.splitlines(keepends=True)
        last = lines.pop()
        for line in lines:
            self._line(line, events)
        if last[-1:] in (b"\n", b"\r"):
            self._line(last, events)
            self._after_cr = last[-1:] == b"\r"
        else:
            self._hold(last, events)
        return events

    def _hold(self, piece: bytes, events: list[Event]) -> None:
        if self._skipping:
            self._skip(piece, events)
            self._tail_ends_line = False
            return
        self._partial.append(piece)
        self._partial_bytes += len(piece)
        if self._event_bytes + self._partial_bytes > MAX_EVENT_BYTES:
            rest = b"".join(self._partial)
            self._partial, self._partial_bytes = [], 0
            self._start_skipping(rest, events)

    def _line(self, line: bytes, events: list[Event]) -> None:
        text = line.rstrip(b"\r\n") if line[-1:] in (b"\n", b"\r") else line
        if self._skipping:
            self._skip(line, events)
            if not text and self._tail_ends_line:
                self._end_oversized(events)
            self._tail_ends_line = line[-1:] in (b"\n", b"\r")
            return
        self._event_bytes += len(line)
        if self._event_bytes > MAX_EVENT_BYTES:
            self._event_bytes -= len(line)
            self._start_skipping(line, events)
            self._tail_ends_line = line[-1:] in (b"\n", b"\r")
            return
        if self._keep_raw:
            self._raw.append(line)
        if not text:
            self._dispatch(events)
        elif text[:5] == b"data:":
            self._data.append(text[6:] if text[5:6] == b" " else text[5:])
        elif text[:6] == b"event:":
            self._name = text[6:].strip()
        elif text == b"data":
            self._data.append(b"")
        else:
            self._plain = False

    def _dispatch(self, events: list[Event]) -> None:
        data = self._data
        if data or self._keep_raw:
            payload = None if not data else data[0] if len(data) == 1 else b"\n".join(data)
            events.append(Event(payload, b"".join(self._raw), self._name, self._plain))
        self._data, self._raw, self._name, self._plain, self._event_bytes = [], [], b"", True, 0

    def _start_skipping(self, rest: bytes, events: list[Event]) -> None:
        seen = b"".join(self._raw) if self._keep_raw else b"\n".join(self._data)
        self._skipping = True
        self._tail_ends_line = False
        self._head = (seen + rest)[:KEPT_OF_OVERSIZED]
        if self._keep_raw and seen:
            events.append(Event(None, seen))
        self._data, self._raw, self._name, self._plain, self._event_bytes = [], [], b"", True, 0
        self._skip(rest, events)

    def _skip(self, piece: bytes, events: list[Event]) -> None:
        if self._keep_raw:
            events.append(Event(None, piece))
        self._tail += piece[-KEPT_OF_OVERSIZED:]
        if len(self._tail) > 2 * KEPT_OF_OVERSIZED:
            del self._tail[:-KEPT_OF_OVERSIZED]

    def _end_oversized(self, events: list[Event]) -> None:
        events.append(Event(None, cut=(self._head, bytes(self._tail[-KEPT_OF_OVERSIZED:]))))
        self._skipping = False
        self._head, self._tail = b"", bytearray()


def plain_payloads(chunk: bytes) -> list[bytes] | None:
    """The payloads, if `chunk` is nothing but whole events of one line `data: {...` each; else None."""
    if chunk[-2:] != b"\n\n" or b"\r" in chunk or len(chunk) > MAX_EVENT_BYTES:
        return None
    lines = chunk.split(b"\n")
    lines.pop()
    if any(lines[1::2]):
        return None
    del lines[1::2]
    for line in lines:
        if line[:7] != b"data: {":
            return None
    return [line[6:] for line in lines]
