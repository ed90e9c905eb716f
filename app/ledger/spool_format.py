"""How one record of the spool looks on disk, and how records are found again in a damaged segment.

A record is: magic (2 bytes), length (4, little-endian, of what follows the checksum), CRC-32 (4, of the same), then
version (1), kind (1) and body. A segment is laid out in advance, so what follows the last record is zeros.
"""

import struct
import zlib
from typing import NamedTuple

VERSION = 1
START, END = 1, 2
KINDS = (START, END)
MAGIC = b"\xc5L"
MAX_BODY_BYTES = 256 * 1024
_HEADER = struct.Struct("<2sII")
_MARKS = struct.Struct("<BB")
_CONTENT_AT = _HEADER.size
OVERHEAD_BYTES = _HEADER.size + _MARKS.size


class Found(NamedTuple):
    """One whole record. `known` is False where a newer version wrote it: then its body means nothing here."""

    kind: int
    body: bytes
    known: bool


class Segment(NamedTuple):
    """What a segment holds: `damaged` gaps between whole records, `torn` True if it ends in half a record."""

    records: list[Found]
    damaged: int
    torn: bool


def frame(kind: int, body: bytes, version: int = VERSION) -> bytes:
    """The bytes of one record. Raises ValueError for a body over 256 KiB."""
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a record of {len(body)} bytes is too long for the spool")
    content = _MARKS.pack(version, kind) + body
    return _HEADER.pack(MAGIC, len(content), zlib.crc32(content)) + content


def read_segment(data: bytes) -> Segment:
    """Every whole record, in order: a bad one in the middle is skipped and counted, a bad end is torn."""
    records: list[Found] = []
    damaged = at = 0
    while True:
        end = _end_of_record(data, at)
        if end is not None:
            version, kind = data[at + _CONTENT_AT], data[at + _CONTENT_AT + 1]
            known = version == VERSION and kind in KINDS
            records.append(Found(kind, data[at + OVERHEAD_BYTES : end], known))
            at = end
            continue
        after = None if _is_blank(data, at) else _next_record(data, at)
        if after is None:
            return Segment(records, damaged, torn=not _is_blank(data, at))
        damaged += 1
        at = after


def _is_blank(data: bytes, at: int) -> bool:
    # Compared as a whole: to look for a record in 8 MiB of zeros keeps the interpreter from everybody for 20 ms.
    return data.endswith(bytes(len(data) - at))


def _end_of_record(data: bytes, at: int) -> int | None:
    if len(data) - at < OVERHEAD_BYTES:
        return None
    magic, length, checksum = _HEADER.unpack_from(data, at)
    start = at + _CONTENT_AT
    end: int = start + length
    if magic != MAGIC or not _MARKS.size <= length <= MAX_BODY_BYTES + _MARKS.size or end > len(data):
        return None
    return end if zlib.crc32(memoryview(data)[start:end]) == checksum else None


def _next_record(data: bytes, at: int) -> int | None:
    while True:
        at = data.find(MAGIC, at + 1)
        if at < 0:
            return None
        if _end_of_record(data, at) is not None:
            return at
