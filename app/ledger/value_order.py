"""Pages of request ids by cost or duration, from the groups of days whose bounds can hold them.

The daily sums know the most and the least of each group of a day. Groups are read in the order of that bound, until
no group that is left can hold a row of the page.
"""

from collections.abc import Iterator
from heapq import nlargest, nsmallest
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from app.ledger.clock import DAY_US, id_floor, id_moment_us
from app.ledger.rollup import NO_COST
from app.ledger.schema import UTC_CALENDAR
from app.ledger.tables import requests, rollup
from app.ledger.time_order import IdRange, chosen_groups

GROUPS_READ = 600
GROUPS_AT_ONCE = 120

Place = tuple[int, bytes]


def value_column(sort: str) -> Any:
    """What rows are ranked by: pico-dollars (an unknown cost ranks below 0) or milliseconds."""
    return requests.c.duration_ms if sort == "duration" else sa.func.coalesce(requests.c.cost_picousd, NO_COST)


def places_in_value_order(
    connection: sa.Connection,
    conditions: list[Any],
    span: IdRange,
    after: Place | None,
    limit: int,
    *,
    sort: str,
    descending: bool,
) -> list[Place]:
    """At most `limit` (value, id) within `span`, best first; those of one value stand in time order too."""
    best: list[Place] = []
    choose = nlargest if descending else nsmallest
    for part, bound in _parts(connection, conditions, span, after, sort, descending):
        if len(best) == limit and (bound <= best[-1] if descending else bound >= best[-1]):
            break
        found = _read(connection, part, span, after, limit, sort, descending)
        best = choose(limit, [*best, *found])
    return best


def _parts(
    connection: sa.Connection, conditions: list[Any], span: IdRange, after: Place | None, sort: str, descending: bool
) -> Iterator[tuple[list[tuple[int, int]], Place]]:
    """(day, group) pairs in the order of what they can hold, some at a time, with the best place possible in each."""
    most, least = rollup.c[f"{sort}_most"], rollup.c[f"{sort}_least"]
    bound = most if descending else least
    query = sa.select(rollup.c.day, rollup.c.group_id, bound).where(
        rollup.c.calendar == UTC_CALENDAR,
        rollup.c.day.between(id_moment_us(span[0]) // DAY_US, id_moment_us(span[1]) // DAY_US),
    )
    if conditions:
        query = query.where(rollup.c.group_id.in_(chosen_groups(conditions)))
    if after is not None:
        query = query.where(least <= after[0] if descending else most >= after[0])
    columns = (bound, rollup.c.day, rollup.c.group_id)
    query = query.order_by(*(column.desc() if descending else column for column in columns))
    offset = 0
    while rows := list(connection.execute(query.limit(GROUPS_READ).offset(offset))):
        for start in range(0, len(rows), GROUPS_AT_ONCE):
            some = rows[start : start + GROUPS_AT_ONCE]
            day, _, value = some[0]
            yield [(row[0], row[1]) for row in some], (value, id_floor((day + 1 if descending else day) * DAY_US))
        offset += GROUPS_READ


def _read(
    connection: sa.Connection,
    part: list[tuple[int, int]],
    span: IdRange,
    after: Place | None,
    limit: int,
    sort: str,
    descending: bool,
) -> list[Place]:
    value = value_column(sort)
    days = []
    for day, pairs in groupby(sorted(part), key=lambda pair: pair[0]):
        low, high = max(span[0], id_floor(day * DAY_US)), min(span[1], id_floor((day + 1) * DAY_US))
        inside = sa.and_(requests.c.id >= low, requests.c.id < high)
        days.append(sa.and_(requests.c.group_id.in_([group for _, group in pairs]), inside))
    query = sa.select(value, requests.c.id).where(sa.or_(*days))
    if after is not None:
        at, raw = after
        beyond, past = (value < at, requests.c.id < raw) if descending else (value > at, requests.c.id > raw)
        query = query.where(sa.or_(beyond, sa.and_(value == at, past)))
    order = (value.desc(), requests.c.id.desc()) if descending else (value, requests.c.id)
    return [(row[0], bytes(row[1])) for row in connection.execute(query.order_by(*order).limit(limit))]
