"""Reads named text fields out of a multipart/form-data body without touching its files."""

import re
from collections.abc import Collection
from email.message import Message

_NAME = re.compile(rb';\s*name\s*=\s*(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_FILENAME = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)
_MAX_HEADER_BYTES = 8192
_MAX_PARTS = 256
_MAX_FIELD_BYTES = 4096


def form_fields(body: bytes, content_type: str, wanted: Collection[str]) -> dict[str, list[str]] | None:
    """The values of the fields named in `wanted`, in order; None if the body has no readable part."""
    boundary = _boundary(content_type)
    if not boundary:
        return None
    delimiter = b"--" + boundary
    start = body.find(delimiter)
    fields: dict[str, list[str]] = {}
    parts = 0
    while start >= 0 and parts < _MAX_PARTS:
        start += len(delimiter)
        if body[start : start + 2] == b"--":
            break
        end = body.find(b"\r\n" + delimiter, start)
        parts += 1
        part = _field(body, start, end if end >= 0 else len(body), wanted)
        if part is not None:
            fields.setdefault(part[0], []).append(part[1])
        start = end + 2 if end >= 0 else -1
    return fields if parts else None


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    return boundary.encode("latin-1", "replace") if isinstance(boundary, str) else b""


def _field(body: bytes, start: int, end: int, wanted: Collection[str]) -> tuple[str, str] | None:
    header_end = body.find(b"\r\n\r\n", start, min(end, start + _MAX_HEADER_BYTES))
    if header_end < 0:
        return None
    for line in body[start:header_end].split(b"\r\n"):
        if line[:20].lower() != b"content-disposition:":
            continue
        match = _NAME.search(line)
        if match is None or _FILENAME.search(line):
            return None
        quoted, bare = match.groups()
        name = (re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else bare).decode("utf-8", "replace")
        if name not in wanted:
            return None
        return name, body[header_end + 4 : min(end, header_end + 4 + _MAX_FIELD_BYTES)].decode("utf-8", "replace")
    return None
