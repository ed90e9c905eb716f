"""Days and ids as the ledger counts them."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_US = 86_400_000_000
EPOCH = date(1970, 1, 1)


def now_us() -> int:
    """Now, in UTC microseconds since the epoch."""
    return time.time_ns() // 1000


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_text(number: int) -> str:
    """YYYY-MM-DD of a day number."""
    return (EPOCH + timedelta(days=number)).isoformat()


def utc_text(at_us: int) -> str:
    """YYYY-MM-DD HH:MM UTC."""
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d %H:%M} UTC"


def zone_named(name: str) -> ZoneInfo:
    """The time zone with this IANA name. Raises ValueError with a sentence."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write one such as Europe/Berlin or UTC") from None


def day_reader(zone: str) -> Callable[[int], int]:
    """A function from UTC microseconds to the day number in `zone`; it remembers the day it saw last."""
    if zone == "UTC":
        return lambda at_us: at_us // DAY_US
    bounds = (0, 0)
    number = 0

    def read(at_us: int) -> int:
        nonlocal bounds, number
        if not bounds[0] <= at_us < bounds[1]:
            number = day_number(datetime.fromtimestamp(at_us // 1_000_000, zone_named(zone)).date())
            bounds = day_bounds_us(number, zone)
        return number

    return read


def day_bounds_us(number: int, zone: str) -> tuple[int, int]:
    """Start (inclusive) and end (exclusive) of a day in `zone`, in UTC microseconds."""
    if zone == "UTC":
        return number * DAY_US, (number + 1) * DAY_US
    info = zone_named(zone)
    first, second = (EPOCH + timedelta(days=number + n) for n in (0, 1))
    start, end = (datetime(day.year, day.month, day.day, tzinfo=info) for day in (first, second))
    return int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000


def first_whole_day(at_us: int, zone: str) -> int:
    """The first day in `zone` that begins at this moment or later."""
    day = day_reader(zone)(at_us)
    return day if day_bounds_us(day, zone)[0] >= at_us else day + 1


def day_of(at_us: int, zone: str) -> int:
    """Day number of a moment in `zone`."""
    return day_reader(zone)(at_us)


def id_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID in its text form. Raises ValueError."""
    raw = bytes.fromhex(text.replace("-", ""))
    if len(raw) != 16:
        raise ValueError(f"{text[:60]!r} is no request id")
    return raw


def id_text(raw: bytes) -> str:
    """The text form of a UUID."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_floor(at_us: int) -> bytes:
    """The smallest id a request started in this millisecond, or later, can have."""
    return min(max(at_us // 1000, 0), 2**48 - 1).to_bytes(6) + bytes(10)


def id_moment_us(raw: bytes) -> int:
    """The millisecond an id was made in, as UTC microseconds."""
    return int.from_bytes(raw[:6]) * 1000


def today(zone: str) -> date:
    """Today's date in `zone`."""
    return datetime.now(UTC if zone == "UTC" else zone_named(zone)).date()
