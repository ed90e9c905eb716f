"""Tells cheaply that no key of a request's top level can be there twice, which is nearly always so.

A JSON reader keeps the last of two equal keys, and another reader the first: a request whose `model` is given twice
could be recorded as one model and billed as another. Only where this module is in doubt the body is read again in
full.
"""

import re

import msgspec

_WALKED_BYTES = 8 * 1024
# A prefix of `model`, `stream` and `stream_options`: how often these occur tells at once that none is there twice.
_KEY_STARTS = (b'"model"', b'"stream')
# JSON writers escape letters only to hide them: one of the keys spelled so is looked at closely.
_ESCAPED_LETTER = re.compile(rb"\\u00(?:[46][0-9a-fA-F]|[57][0-9aA]|5[fF])")
_BEFORE_VALUE = re.compile(rb'[ \t\r\n]*[{,][ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
_END = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*\Z")

_DECODE = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def could_repeat(body: bytes) -> bool:
    """False if no key among model, stream and stream_options is twice in `body`, a valid JSON object."""
    if len(body) > _WALKED_BYTES:
        return not _is_its_members(body)
    if b"\\u00" in body and _ESCAPED_LETTER.search(body):
        return True
    return any(body.count(start) > 1 for start in _KEY_STARTS) and not _is_its_members(body)


def _is_its_members(body: bytes) -> bool:
    # The decoded object holds each key once, in order. If its members, one behind the other, are all there is of
    # the body, then none was there a second time. Values are compared, never searched.
    at = 0
    for key, value in _DECODE(body).items():
        before = _BEFORE_VALUE.match(body, at)
        if before is None or before[1] != key.encode():
            return False
        raw = bytes(value)
        at = before.end()
        if not body.startswith(raw, at):
            return False
        at += len(raw)
    return _END.match(body, at) is not None
