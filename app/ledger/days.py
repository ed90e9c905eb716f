"""Which calendar and which days of the rollup a report reads."""

import sqlalchemy as sa

from app.ledger.clock import day_reader, zone_named
from app.ledger.filters import RequestFilter
from app.ledger.rollup import read_calendars
from app.ledger.schema import UTC_CALENDAR
from app.ledger.tables import rollup

COMPLETE = 0
"""`calendars.built_from_day` once every day is built."""


def calendar_of(connection: sa.Connection, zone: str | None = None) -> tuple[int, str]:
    """(id, zone) of the calendar of `zone`, of the reporting zone if None; UTC's while that one is being built.

    Sums are kept for UTC and the reporting zone alone, so any other zone (one that was the reporting zone a moment
    ago) gets the latter's calendar. Raises ValueError with a sentence for a name that is no zone.
    """
    if zone == "UTC":
        return UTC_CALENDAR, "UTC"
    if zone is not None:
        zone_named(zone)
    known = read_calendars(connection)
    complete = [(number, name) for number, name, first in known if number != UTC_CALENDAR and first == COMPLETE]
    return complete[-1] if complete else (UTC_CALENDAR, "UTC")


def days_touched(f: RequestFilter, zone: str) -> tuple[int | None, int | None]:
    """First and last day that the filter's time range touches, None where it is open."""
    read = day_reader(zone)
    first = None if f.since_us is None else read(f.since_us)
    last = None if f.until_us is None else read(f.until_us - 1)
    return first, last


def day_conditions(calendar: int, first: int | None, last: int | None) -> list[sa.ColumnElement[bool]]:
    """Conditions on `rollup` for a calendar and its days `first` to `last`, both included."""
    found = [rollup.c.calendar == calendar]
    if first is not None:
        found.append(rollup.c.day >= first)
    if last is not None:
        found.append(rollup.c.day <= last)
    return found


def last_day(connection: sa.Connection, calendar: int, *, first: bool = False) -> int | None:
    """The newest (or `first`) day that has a row in this calendar."""
    order = rollup.c.day if first else rollup.c.day.desc()
    query = sa.select(rollup.c.day).where(rollup.c.calendar == calendar).order_by(order).limit(1)
    return connection.execute(query).scalar()
