"""Reads named text fields out of a multipart/form-data body without touching its files."""

import re
from collections.abc import Collection
from email.message import Message

_PARAMETER = rb';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\.)*)"|([\w!#$%&\'*+.^`|~-]*))[ \t]*'
_DISPOSITION = re.compile(rb"content-disposition:[ \t]*form-data[ \t]*((?:%b)*);?" % _PARAMETER, re.IGNORECASE)
_EACH_PARAMETER = re.compile(_PARAMETER)
_LOOSE_NAME = re.compile(rb';[ \t]*name[ \t]*=[ \t]*"?([^";\s]*)')
_LINE_END = re.compile(rb"--|[ \t]*\r\n")
_MAX_HEADER_BYTES = 8192
_MAX_PARTS = 256
_MAX_FIELD_BYTES = 4096


def form_fields(body: bytes, content_type: str, wanted: Collection[str]) -> dict[str, list[str]] | None:
    """The values of the fields named in `wanted`, in order.

    None if the body has no readable part, or if it could be read in two ways: more parts than any client sends, or
    one with two names or an endless header.
    """
    boundary = _boundary(content_type)
    if not boundary:
        return None
    delimiter = b"--" + boundary
    fields: dict[str, list[str]] = {}
    parts = 0
    start = 0 if _is_delimiter(body, 0, delimiter) else _next_delimiter(body, 0, delimiter)
    while start >= 0:
        start += len(delimiter)
        if body[start : start + 2] == b"--":
            break
        end = _next_delimiter(body, start, delimiter)
        parts += 1
        part = _field(body, start, end - 2 if end >= 0 else len(body), wanted)
        if part is None or len(part[0]) > 1 or parts > _MAX_PARTS:
            return None
        names, value = part
        if names and names[0] in wanted:
            fields.setdefault(names[0], []).append(value)
        start = end
    return fields if parts else None


def _is_delimiter(body: bytes, at: int, delimiter: bytes) -> bool:
    return body.startswith(delimiter, at) and _LINE_END.match(body, at + len(delimiter)) is not None


def _next_delimiter(body: bytes, at: int, delimiter: bytes) -> int:
    """Where the next line that is a delimiter begins; -1 if there is none."""
    while (at := body.find(b"\r\n" + delimiter, at)) >= 0:
        if _is_delimiter(body, at + 2, delimiter):
            return at + 2
        at += 2
    return -1


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    return boundary.encode("latin-1", "replace") if isinstance(boundary, str) else b""


def _field(body: bytes, start: int, end: int, wanted: Collection[str]) -> tuple[list[str], str] | None:
    """The names a part gives itself, one if it is well made, none if it is a file, and its value.

    None where others could read the part differently.
    """
    header_end = body.find(b"\r\n\r\n", start, min(end, start + _MAX_HEADER_BYTES))
    if header_end < 0:
        # A blank line that others may find behind the next delimiter: then all that follows is another part to them.
        return None
    names: list[str] = []
    for line in body[start:header_end].split(b"\r\n"):
        match = _DISPOSITION.fullmatch(line.rstrip(b" \t"))
        if match is None:
            lowered = line.lower()
            if not lowered.startswith(b"content-disposition"):
                continue
            # A file may have any name; a field has one that everybody reads alike.
            loosely = {name.decode("latin-1") for name in _LOOSE_NAME.findall(lowered)}
            return None if b"filename" not in lowered or loosely.intersection(wanted) else ([], "")
        found = _EACH_PARAMETER.findall(match[1])
        named = [
            (re.sub(rb"\\(.)", rb"\1", quoted) or bare).decode("utf-8", "replace")
            for name, quoted, bare in found
            if name.lower() == b"name"
        ]
        kinds = {name.lower() for name, _, _ in found}
        if b"filename" in kinds:
            return [], ""
        if b"filename*" in kinds:
            # Forbidden in forms, and passed over by some readers: to those this is a field.
            return None if any(name in wanted for name in named) else ([], "")
        names += named
    return names, body[header_end + 4 : min(end, header_end + 4 + _MAX_FIELD_BYTES)].decode("utf-8", "replace")
