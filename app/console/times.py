"""Times as people read them: in the reporting zone, with the zone said."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MICROSECONDS = 1_000_000
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@cache
def zone_info(name: str) -> ZoneInfo:
    """The zone, or UTC where the name is unknown to this machine."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(at_us: int, zone: str) -> datetime:
    """The moment in the reporting zone."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)).astimezone(zone_info(zone))


def iso(at_us: int) -> str:
    """RFC 3339 in UTC, for `datetime` attributes."""
    return moment(at_us, "UTC").isoformat(timespec="milliseconds").replace("+00:00", "Z")


def absolute(at_us: int, zone: str) -> str:
    """`2026-11-22 14:03:21.123 UTC`."""
    when = moment(at_us, zone)
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} {when:%Z}"


def short(at_us: int, zone: str) -> str:
    """`22 Nov 14:03:21`: a list's head says the zone."""
    return f"{moment(at_us, zone):%d %b %H:%M:%S}"


def ago(at_us: int, now_us: int) -> str:
    """`12 s ago`, `3 d ago`; `just now` under a second or ahead of the clock."""
    seconds = (now_us - at_us) // MICROSECONDS
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def today(now_us: int, zone: str) -> date:
    """The day it is in the reporting zone."""
    return moment(now_us, zone).date()


def day_starts_us(day: date, zone: str) -> int:
    """The first microsecond of a day in the reporting zone."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone_info(zone))
    return int(start.timestamp()) * MICROSECONDS
