"""Asks for usage in a stream on the client's behalf, and leaves every other byte of the request as it came."""

import json
import re
from typing import Any

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)
_SPACE = b" \t\r\n"


class _Options(msgspec.Struct):
    stream_options: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODE = msgspec.json.Decoder(_Options).decode


def add_stream_usage(body: bytes) -> bytes:
    """`body`, a JSON object that streams, with `stream_options.include_usage` true.

    Returns the same object if it is true already, or if `stream_options` is nothing that could be added to.
    """
    try:
        options = _DECODE(body).stream_options
    except (msgspec.MsgspecError, RecursionError):
        return body
    if options is msgspec.UNSET:
        return _with_member(body, body.find(b"{"), b'"stream_options":{"include_usage":true}')
    raw = bytes(options)
    value = _decoded(raw)
    if value is None:
        return _replaced(body, "stream_options", b'{"include_usage":true}')
    if not isinstance(value, dict) or value.get("include_usage") is True:
        return body
    if "include_usage" in value:
        return _replaced(body, "stream_options", _replaced(raw, "include_usage", b"true"))
    return _replaced(body, "stream_options", _with_member(raw, raw.find(b"{"), b'"include_usage":true'))


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return raw


def _with_member(text: bytes, brace: int, member: bytes) -> bytes:
    # At the front, where no trailing comma or comment of the rest can matter.
    rest = text[brace + 1 :]
    comma = b"" if rest.lstrip(_SPACE)[:1] == b"}" else b","
    return text[: brace + 1] + member + comma + rest


def _replaced(text: bytes, key: str, value: bytes) -> bytes:
    """`text`, a JSON object, with the value of its last member `key` replaced."""
    depth = 0
    spans: list[tuple[int, int]] = []
    begin = -1
    for token in _TOKEN.finditer(text):
        first = text[token.start() : token.start() + 1]
        if begin >= 0 and depth == 1 and first in (b",", b"}"):
            spans.append((begin, token.start()))
            begin = -1
        if first in (b"{", b"["):
            depth += 1
        elif first in (b"}", b"]"):
            depth -= 1
        elif first == b'"' and depth == 1 and begin < 0:
            begin = _value_start(text, token.start(), token.end(), key)
    if not spans:
        return text
    start, end = spans[-1]
    end -= len(text[start:end]) - len(text[start:end].rstrip(_SPACE))
    return text[:start] + value + text[end:]


def _value_start(text: bytes, start: int, end: int, key: str) -> int:
    colon = end
    while text[colon : colon + 1] in (b" ", b"\t", b"\r", b"\n"):
        colon += 1
    if text[colon : colon + 1] != b":" or not _names(text[start:end], key):
        return -1
    colon += 1
    while text[colon : colon + 1] in (b" ", b"\t", b"\r", b"\n"):
        colon += 1
    return colon


def _names(token: bytes, key: str) -> bool:
    if token == f'"{key}"'.encode():
        return True
    try:
        return b"\\" in token and bool(json.loads(token) == key)
    except ValueError:
        return False
