"""Builds daily sums from the rows: for a new reporting zone, and to check or repair those that are there.

A calendar is built a day at a time, newest first, each day in a transaction of its own that also moves
`built_from_day`. Writers add only to days from there on, so requests keep coming in all the while, several processes
may build together, and one that was cut off goes on where it stopped.
"""

from typing import Any

import sqlalchemy as sa

from app.ledger.clock import DAY_US, day_bounds_us, day_reader, id_floor, id_moment_us
from app.ledger.database import Database
from app.ledger.days import COMPLETE
from app.ledger.facet_sums import LOW_BITS, stored_groups
from app.ledger.histogram import BUCKETS, DURATION_BOUNDS_MS
from app.ledger.rollup import BOUND_COLUMNS, NO_COST, Calendars, add_to_rollup, read_calendars
from app.ledger.rows_since import rows_since_us
from app.ledger.schema import NOT_BEGUN, UTC_CALENDAR
from app.ledger.tables import HISTOGRAM_COLUMNS, TOKEN_COLUMNS, calendars, facet_sums, requests, rollup, rollup_carry

SUM_TABLES = (rollup, rollup_carry, facet_sums)
_HIGH, _LOW = sa.literal(2**LOW_BITS), sa.literal(2**LOW_BITS)


def _halves(column: Any) -> tuple[Any, Any]:
    return sa.func.sum(column // _HIGH), sa.func.sum(column % _LOW)


_BUCKET = sa.case(
    *((requests.c.duration_ms < bound, number) for number, bound in enumerate(DURATION_BOUNDS_MS)), else_=BUCKETS - 1
).label("bucket")
_COST = sa.func.coalesce(requests.c.cost_picousd, NO_COST)
_DAY_SELECT = sa.select(
    requests.c.group_id,
    _BUCKET,
    sa.func.count(),
    sa.func.max(_COST),
    sa.func.min(_COST),
    sa.func.max(requests.c.duration_ms),
    sa.func.min(requests.c.duration_ms),
    *(half for name in (*TOKEN_COLUMNS, "cost_picousd") for half in _halves(requests.c[name])),
).group_by(requests.c.group_id, _BUCKET)


def sums_of_day(connection: sa.Connection, zone: str, day: int, since_us: int = 0) -> dict[int, list[int]]:
    """Per group, from the rows themselves, what `rollup.aggregate` would have summed for this day since `since_us`."""
    start, end = day_bounds_us(day, zone)
    query = _DAY_SELECT.where(requests.c.id >= id_floor(max(start, since_us)), requests.c.id < id_floor(end))
    sums: dict[int, list[int]] = {}
    for group_id, bucket, count, most, least, longest, shortest, *halves in connection.execute(query):
        highs, lows = (int(value or 0) for value in halves[::2]), (int(value or 0) for value in halves[1::2])
        totals = [(high << LOW_BITS) + low for high, low in zip(highs, lows, strict=True)]
        into = sums.setdefault(group_id, [0] * (1 + len(totals) + BUCKETS) + [most, least, longest, shortest])
        into[0] += count
        for index, total in enumerate(totals, 1):
            into[index] += total
        into[1 + len(totals) + bucket] += count
        bounds = zip(into[-4:], (most, least, longest, shortest), (max, min, max, min), strict=True)
        into[-4:] = [choose(old, new) for old, new, choose in bounds]
    return sums


def newest_day(connection: sa.Connection, zone: str, before: int = NOT_BEGUN) -> int | None:
    """The last day before `before` that has a request, by the rows."""
    query = sa.select(requests.c.id).order_by(requests.c.id.desc()).limit(1)
    if before != NOT_BEGUN:
        query = query.where(requests.c.id < id_floor(day_bounds_us(before, zone)[0]))
    raw = connection.execute(query).scalar()
    return None if raw is None else day_reader(zone)(id_moment_us(bytes(raw)))


def replace_calendar(connection: sa.Connection, zone: str) -> None:
    """Make `zone` the reporting zone; its days are then to be built with `build_calendars`."""
    known = read_calendars(connection)
    if zone in {name for _, name, _ in known} and (zone != "UTC" or len(known) == 1):
        return
    for table in SUM_TABLES:
        connection.execute(table.delete().where(table.c.calendar != UTC_CALENDAR))
    connection.execute(calendars.delete().where(calendars.c.id != UTC_CALENDAR))
    if zone != "UTC":
        number = 1 + max(number for number, _, _ in known)
        connection.execute(calendars.insert(), {"id": number, "zone": zone, "built_from_day": NOT_BEGUN})


async def build_calendars(database: Database) -> int:
    """Finish every calendar that is not complete; returns the number of days built. Raises LedgerError."""
    built = 0
    while any(first != COMPLETE for _, _, first in await database.look(read_calendars)):
        built += await database.write(_build_one_day)
    return built


async def rebuild_rollup(database: Database) -> int:
    """Throw all daily sums away and build them from the rows; returns the number of days. Raises LedgerError."""

    def clear(connection: sa.Connection) -> None:
        kept_to = rows_since_us(connection) // DAY_US
        for table in SUM_TABLES:
            # Of days whose rows have been deleted, UTC's sums are all there is.
            from_rows = sa.or_(table.c.calendar != UTC_CALENDAR, table.c.day >= kept_to)
            connection.execute(table.delete().where(from_rows))
        connection.execute(calendars.update().values(built_from_day=NOT_BEGUN))

    await database.write(clear)
    return await build_calendars(database)


def _build_one_day(connection: sa.Connection) -> int:
    unfinished: Calendars = [one for one in read_calendars(connection) if one[2] != COMPLETE]
    if not unfinished:
        return 0
    number, zone, first = unfinished[0]
    since_us = rows_since_us(connection)
    day = newest_day(connection, zone, first)
    if day is not None and day_bounds_us(day, zone)[1] <= since_us:
        day = None
    if day is not None:
        for table in SUM_TABLES:
            connection.execute(table.delete().where(table.c.calendar == number, table.c.day == day))
        sums = {(number, day, one): values for one, values in sums_of_day(connection, zone, day, since_us).items()}
        add_to_rollup(connection, sums, stored_groups(connection, {group_id for _, _, group_id in sums}))
    elif number != UTC_CALENDAR:
        _take_over(connection, number, since_us // DAY_US)
    moved = calendars.update().where(calendars.c.id == number)
    connection.execute(moved.values(built_from_day=COMPLETE if day is None else day))
    return int(day is not None)


def _take_over(connection: sa.Connection, number: int, before_day: int) -> None:
    """Add UTC's sums of days before `before_day` to the same days of another calendar: their rows are gone."""
    of_utc = (rollup.c.calendar == UTC_CALENDAR, rollup.c.day < before_day)
    for day in list(connection.execute(sa.select(rollup.c.day).where(*of_utc).distinct()).scalars()):
        sums = {(number, day, one): values for one, values in _stored_sums(connection, day).items()}
        add_to_rollup(connection, sums, stored_groups(connection, {group_id for _, _, group_id in sums}))


def _stored_sums(connection: sa.Connection, day: int) -> dict[int, list[int]]:
    """Per group what UTC's calendar has for this day, as `sums_of_day` gives it."""
    names = ("requests", *TOKEN_COLUMNS, "cost_high", "cost_low", *HISTOGRAM_COLUMNS, *BOUND_COLUMNS)
    here = (rollup.c.calendar == UTC_CALENDAR, rollup.c.day == day)
    tokens = len(TOKEN_COLUMNS)
    found: dict[int, list[int]] = {}
    for group_id, *values in connection.execute(
        sa.select(rollup.c.group_id, *(rollup.c[n] for n in names)).where(*here)
    ):
        cost = (values[1 + tokens] << LOW_BITS) + values[2 + tokens]
        found[group_id] = [*values[: 1 + tokens], cost, *values[3 + tokens :]]
    carried = sa.select(rollup_carry.c.group_id, *(rollup_carry.c[name] for name in TOKEN_COLUMNS))
    where = (rollup_carry.c.calendar == UTC_CALENDAR, rollup_carry.c.day == day)
    for group_id, *highs in connection.execute(carried.where(*where)):
        for index, high in enumerate(highs, 1):
            found[group_id][index] += high << LOW_BITS
    return found
