"""Pages of request ids in time order, found without reading rows that cannot match.

Rare matches are found through the index by group. Where there are many, the daily sums say how far back the page
reaches, and only that window is read: by index while it holds few matches, else row by row, since then most match.
"""

from typing import Any

import sqlalchemy as sa

from app.ledger.clock import DAY_US, id_floor, id_moment_us
from app.ledger.days import last_day
from app.ledger.schema import UTC_CALENDAR
from app.ledger.tables import groups, requests, rollup

FEW = 2000
FEW_IN_WINDOW = 20_000
FIRST_DAYS = 8

IdRange = tuple[bytes, bytes]


def chosen_groups(conditions: list[Any]) -> Any:
    """Subquery of the ids of the groups that fulfil the conditions."""
    return sa.select(groups.c.id).where(*conditions)


def after_id(raw: bytes) -> bytes:
    """The next higher id."""
    return raw if raw == b"\xff" * 16 else (int.from_bytes(raw) + 1).to_bytes(16)


def ids_in_time_order(
    connection: sa.Connection, conditions: list[Any], span: IdRange, limit: int, descending: bool
) -> list[bytes]:
    """At most `limit` ids within `span` (first included, end not) whose groups fulfil the conditions."""
    low, high = span
    if low >= high:
        return []
    inside = (requests.c.id >= low, requests.c.id < high)
    order = requests.c.id.desc() if descending else requests.c.id
    if not conditions:
        query = sa.select(requests.c.id).where(*inside).order_by(order).limit(limit)
        return _ids(connection, query)
    chosen = chosen_groups(conditions)
    by_index = requests.c.group_id.in_(chosen)
    if count_matches(connection, conditions, span, max(FEW, 2 * limit)) < max(FEW, 2 * limit):
        query = sa.select(requests.c.id).where(by_index, *inside).order_by(order).limit(limit)
        return _ids(connection, query)
    window, matches = _window(connection, chosen, span, limit, descending)
    inside = (requests.c.id >= window[0], requests.c.id < window[1])
    # The sum keeps the database from using the index where reading row by row is cheaper.
    matching = by_index if matches <= FEW_IN_WINDOW else (requests.c.group_id + 0).in_(chosen)
    return _ids(connection, sa.select(requests.c.id).where(matching, *inside).order_by(order).limit(limit))


def _ids(connection: sa.Connection, query: Any) -> list[bytes]:
    return [bytes(row[0]) for row in connection.execute(query)]


def count_matches(connection: sa.Connection, conditions: list[Any], span: IdRange, at_most: int) -> int:
    """How many rows of `span` match, counted up to `at_most`."""
    query = sa.select(sa.literal(1).label("one")).select_from(requests)
    query = query.where(requests.c.id >= span[0], requests.c.id < span[1])
    if conditions:
        query = query.where(requests.c.group_id.in_(chosen_groups(conditions)))
    counted = sa.select(sa.func.count()).select_from(query.limit(at_most).subquery())
    return int(connection.execute(counted).scalar_one())


def _window(connection: sa.Connection, chosen: Any, span: IdRange, limit: int, descending: bool) -> tuple[IdRange, int]:
    """The part of `span` that is sure to hold the page, and about how many matches are in it."""
    oldest, newest = (last_day(connection, UTC_CALENDAR, first=first) for first in (True, False))
    if oldest is None or newest is None:
        return span, 0
    first = max(oldest, id_moment_us(span[0]) // DAY_US)
    last = min(newest, id_moment_us(span[1]) // DAY_US)
    partial = last if descending else first
    found, matches, length = 0, 0, FIRST_DAYS
    begin = last if descending else first
    while first <= begin <= last:
        end = max(first, begin - length + 1) if descending else min(last, begin + length - 1)
        for day, count in _per_day(connection, chosen, min(begin, end), max(begin, end), descending):
            matches += count
            # The span may begin within its first day, so what that day holds is not sure to be in it.
            found += count if day != partial else 0
            if found >= limit:
                return _days_of(span, day, descending), matches
        begin = end - 1 if descending else end + 1
        length *= 4
    return span, matches


def _per_day(connection: sa.Connection, chosen: Any, first: int, last: int, descending: bool) -> list[Any]:
    query = (
        sa.select(rollup.c.day, sa.func.sum(rollup.c.requests))
        .where(rollup.c.calendar == UTC_CALENDAR, rollup.c.day.between(first, last), rollup.c.group_id.in_(chosen))
        .group_by(rollup.c.day)
        .order_by(rollup.c.day.desc() if descending else rollup.c.day)
    )
    return list(connection.execute(query))


def _days_of(span: IdRange, day: int, descending: bool) -> IdRange:
    if descending:
        return max(span[0], id_floor(day * DAY_US)), span[1]
    return span[0], min(span[1], id_floor((day + 1) * DAY_US))
