"""Pages of request ids by cost or duration, from the groups of days whose bounds can hold them.

The daily sums know the most and the least of each group of a day. Groups are read in the order of that bound, until
no group that is left can hold a row of the page. They are read from the index by group alone, which also holds cost and
duration: ten million rows a second instead of one.
"""

from collections.abc import Iterator
from heapq import nlargest, nsmallest
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.ledger.clock import DAY_US, id_floor, id_moment_us
from app.ledger.rollup import NO_COST
from app.ledger.schema import UTC_CALENDAR
from app.ledger.tables import rollup
from app.ledger.time_order import IdRange, chosen_groups

GROUPS_READ = 600
GROUPS_AT_ONCE = 200
FIRST_ROWS = 4_000
MOST_ROWS = 64_000

Place = tuple[int, bytes]
_VALUES = {"cost": f"coalesce(cost_picousd, {NO_COST})", "duration": "duration_ms"}
"""What rows are ranked by: pico-dollars (an unknown cost ranks below 0) or milliseconds."""


class Bounded(NamedTuple):
    """One group of one day: the best value in it, and how many rows it has."""

    day: int
    group_id: int
    bound: int
    rows: int


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
    for part in _parts(_bounded(connection, conditions, span, after, sort, descending)):
        if len(best) == limit:
            part = [one for one in part if _may_hold(one, best[-1], descending)]
            if not part:
                break
        best = choose(limit, [*best, *_read(connection, part, span, after, limit, sort, descending)])
    return best


def _may_hold(one: Bounded, worst: Place, descending: bool) -> bool:
    """True if a row of this group and day can stand before the last one found so far."""
    edge = id_floor((one.day + 1 if descending else one.day) * DAY_US)
    return (one.bound, edge) > worst if descending else (one.bound, edge) < worst


def _parts(groups: Iterator[Bounded]) -> Iterator[list[Bounded]]:
    """The groups some at a time: a few rows first, which most often are enough, then more and more."""
    part: list[Bounded] = []
    rows, enough = 0, FIRST_ROWS
    for one in groups:
        part.append(one)
        rows += one.rows
        if rows >= enough or len(part) == GROUPS_AT_ONCE:
            yield part
            part, rows, enough = [], 0, min(2 * enough, MOST_ROWS)
    if part:
        yield part


def _bounded(
    connection: sa.Connection, conditions: list[Any], span: IdRange, after: Place | None, sort: str, descending: bool
) -> Iterator[Bounded]:
    """Groups of days in the order of what they can hold."""
    most, least = rollup.c[f"{sort}_most"], rollup.c[f"{sort}_least"]
    bound = most if descending else least
    query = sa.select(rollup.c.day, rollup.c.group_id, bound, rollup.c.requests).where(
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
        yield from (Bounded(*row) for row in rows)
        offset += GROUPS_READ


def _read(
    connection: sa.Connection,
    part: list[Bounded],
    span: IdRange,
    after: Place | None,
    limit: int,
    sort: str,
    descending: bool,
) -> list[Place]:
    """The best rows of these groups and days. As text: made of expressions, it would take longer to build than to run.

    One SELECT a day, because of days joined by OR a database reads the rows themselves, not the index alone.
    """
    value = _VALUES[sort]
    bound: dict[str, int | bytes] = {}
    beyond = ""
    if after is not None:
        bound |= {"at": after[0], "past": after[1]}
        sign = "<" if descending else ">"
        beyond = f" AND ({value} {sign} :at OR ({value} = :at AND id {sign} :past))"
    days = []
    for day, some in groupby(sorted(part), key=lambda one: one.day):
        low, high = max(span[0], id_floor(day * DAY_US)), min(span[1], id_floor((day + 1) * DAY_US))
        bound |= {f"low{day}": low, f"high{day}": high}
        inside = f"group_id IN ({', '.join(str(one.group_id) for one in some)}) AND id >= :low{day} AND id < :high{day}"
        days.append(f"SELECT {value} AS value, id FROM requests WHERE {inside}{beyond}")  # noqa: S608  (numbers only)
    order = "1 DESC, 2 DESC" if descending else "1, 2"
    query = sa.text(f"{' UNION ALL '.join(days)} ORDER BY {order} LIMIT {int(limit)}")
    return [(row[0], bytes(row[1])) for row in connection.execute(query, bound)]
