"""Takes out of a stream what only came because Lectr asked for the usage, and nothing else.

That is the one chunk whose choices are empty and that has a usage, and in every other chunk the key `"usage":null`
with its one adjoining comma: the one before it, else the one behind.
"""

import json
import re

from app.upstream.sse import Event

_NULL_USAGE = re.compile(rb'"usage"[ \t\r\n]*:[ \t\r\n]*null')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_VALUE_NULL = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*null")
_SPACE = b" \t\r\n"
COMPACT = b',"usage":null'
"""How all providers write it."""


def without_data(event: Event) -> bytes:
    """The event without its `data` and `event` lines: nothing, unless comments or other fields came with it."""
    if event.plain:
        return b""
    lines = event.raw.splitlines(keepends=True)
    kept = [line for line in lines if line.strip(b"\r\n") and not line.startswith((b"data", b"event"))]
    # The end of a stream may have cut off the blank line.
    ending = b"" if lines[-1].strip(b"\r\n") else lines[-1]
    return b"".join([*kept, ending]) if kept else b""


def without_null_usage(event: Event) -> bytes:
    """The event's own bytes with each top-level `"usage":null` of its payload taken out."""
    data = event.data or b""
    raw = event.raw
    if raw.count(b'"usage"') == 1 and b"\\u" not in raw:
        # As all providers write it; the caller knows that the key is there, so the one occurrence is it.
        at = raw.find(COMPACT)
        if at >= 0:
            return raw[:at] + raw[at + len(COMPACT) :]
    at = raw.find(data)
    if at >= 0:
        return raw[:at] + drop_null_usage(data) + raw[at + len(data) :]
    # The payload spans several data lines.
    lines = raw.splitlines(keepends=True)
    ending = lines[0][len(lines[0].rstrip(b"\r\n")) :]
    kept = [line for line in lines if line.strip(b"\r\n") and not line.startswith(b"data")]
    edited = [b"data: " + line + ending for line in drop_null_usage(data).split(b"\n")]
    return b"".join([*kept, *edited, ending])


def drop_null_usage(text: bytes) -> bytes:
    """`text`, a JSON object, without its top-level `usage` if that is null."""
    if text.count(b'"usage"') == 1 and b"\\u" not in text:
        # The caller knows that the object has the key and that it is null, so the one occurrence is it.
        match = _NULL_USAGE.search(text)
        return _cut(text, match.start(), match.end()) if match else text
    for start, end in reversed(_top_level_null_usage(text)):
        text = _cut(text, start, end)
    return text


def _cut(text: bytes, start: int, end: int) -> bytes:
    before = text[:start].rstrip(_SPACE)
    if before.endswith(b","):
        return before[:-1] + text[end:]
    after = text[end:].lstrip(_SPACE)
    if after.startswith(b","):
        return text[:start] + after[1:]
    return text[:start] + text[end:]


def _top_level_null_usage(text: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        elif depth == 1:
            value = _VALUE_NULL.match(text, token.end())
            if value and _is_usage(token.group()):
                found.append((token.start(), value.end()))
    return found


def _is_usage(token: bytes) -> bool:
    if token == b'"usage"':
        return True
    try:
        return b"\\u" in token and json.loads(token) == "usage"
    except ValueError:
        return False
