"""Row ids: UUIDv7, made by Lectr only; a caller's own id is never taken."""

import os


def request_id(started_at_us: int) -> str:
    """A UUIDv7 whose millisecond is `started_at_us`; the twelve bits after it hold the rest of the microsecond."""
    milliseconds, microseconds = divmod(started_at_us, 1000)
    random = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = milliseconds << 80 | 0x7000 << 64 | (microseconds << 2) << 64 | 1 << 63 | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
