"""Daily sums per group of requests, written in the same transaction as the rows.

A calendar is one way to cut time into days: 0 is UTC, another one the reporting zone where that is not UTC. Sums
must stay below 2^63 in every database, so money is kept as two halves of 32 bits, and what a batch has of tokens
beyond 32 bits goes to `rollup_carry`, which is empty in honest life. `*_most` and `*_least` are bounds that reports
use to leave out whole groups of a day; a price changed later may leave them wider than needed, never narrower.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.ledger.clock import day_reader
from app.ledger.dialects import RowInsert, insert_merging
from app.ledger.facet_sums import LOW_BITS, LOW_MASK, Sums, add_to_facets
from app.ledger.histogram import BUCKETS, bucket_of
from app.ledger.tables import HISTOGRAM_COLUMNS, TOKEN_COLUMNS, calendars, rollup, rollup_carry

KEY_COLUMNS = ("calendar", "day", "group_id")
BOUND_COLUMNS = ("cost_most", "cost_least", "duration_most", "duration_least")
SUM_COLUMNS = ("requests", "cost_high", "cost_low", *TOKEN_COLUMNS, *HISTOGRAM_COLUMNS)
ROLLUP_COLUMNS = (*KEY_COLUMNS, *SUM_COLUMNS, *BOUND_COLUMNS)
CARRY_COLUMNS = (*KEY_COLUMNS, *TOKEN_COLUMNS)
NO_COST = -1
"""Stands for an unknown cost among the bounds: it ranks below 0."""
_TOKENS_AT = 1
_HISTOGRAM_AT = _TOKENS_AT + len(TOKEN_COLUMNS) + 1

# Asked in every transaction: as an expression it would cost 0.1 ms more each time.
_CALENDARS = str(sa.select(calendars.c.id, calendars.c.zone, calendars.c.built_from_day))
Calendars = Sequence[tuple[int, str, int]]


class Counted(NamedTuple):
    """What one row adds to its group of a day: `moment_us` is its id's, `sign` is -1 to take it out again."""

    group_id: int
    moment_us: int
    cost: int | None
    duration_ms: int
    tokens: Sequence[int | None]
    sign: int = 1


def _zeros() -> list[int]:
    return [0] * (_HISTOGRAM_AT + BUCKETS) + [NO_COST, 2**63 - 1, -1, 2**63 - 1]


def aggregate(rows: Iterable[Counted], open_calendars: Calendars) -> Sums:
    """Sums per (calendar, day, group): requests, tokens, cost, histogram, then the four bounds."""
    readers = [(number, day_reader(zone), first) for number, zone, first in open_calendars]
    piles: dict[tuple[int, int, int], list[Counted]] = {}
    for row in rows:
        group_id, moment_us = row[:2]
        for number, read_day, first in readers:
            day = read_day(moment_us)
            if day < first:
                continue
            key = (number, day, group_id)
            pile = piles.get(key)
            if pile is None:
                piles[key] = [row]
            else:
                pile.append(row)
    return {key: _summed(pile) for key, pile in piles.items()}


def _summed(pile: Sequence[Counted]) -> list[int]:
    into = _zeros()
    for sign in (1, -1):
        rows = [row for row in pile if row.sign == sign]
        if rows:
            _add(into, rows, sign)
    return into


def _add(into: list[int], rows: Sequence[Counted], sign: int) -> None:
    # Column by column: that costs a third of what it does row by row.
    _, _, costs, durations, tokens, _ = zip(*rows, strict=True)
    into[0] += sign * len(rows)
    for index, column in enumerate(zip(*tokens, strict=True), _TOKENS_AT):
        into[index] += sign * sum(filter(None, column))
    into[_HISTOGRAM_AT - 1] += sign * sum(filter(None, costs))
    for duration_ms in durations:
        into[_HISTOGRAM_AT + bucket_of(duration_ms)] += sign
    if sign > 0:
        ranked = [NO_COST if cost is None else cost for cost in costs]
        into[-4:] = max(ranked), min(ranked), max(durations), min(durations)


def read_calendars(connection: sa.Connection) -> list[tuple[int, str, int]]:
    """(id, zone, first day) of every calendar that is kept; inside a write transaction nobody can change them."""
    return [(number, zone, first) for number, zone, first in connection.exec_driver_sql(_CALENDARS)]


def _sum(old: Any, new: Any) -> Any:
    return old + new


def _most(old: Any, new: Any) -> Any:
    return sa.case((new > old, new), else_=old)


def _least(old: Any, new: Any) -> Any:
    return sa.case((new < old, new), else_=old)


@lru_cache(maxsize=4)
def _statements(dialect: sa.Dialect) -> tuple[RowInsert, RowInsert]:
    merge = dict.fromkeys(SUM_COLUMNS, _sum)
    merge |= {"cost_most": _most, "duration_most": _most, "cost_least": _least, "duration_least": _least}
    into_rollup = insert_merging(dialect, rollup, KEY_COLUMNS, merge)
    into_carry = insert_merging(dialect, rollup_carry, KEY_COLUMNS, dict.fromkeys(TOKEN_COLUMNS, _sum))
    return RowInsert(into_rollup, dialect, ROLLUP_COLUMNS), RowInsert(into_carry, dialect, CARRY_COLUMNS)


def add_to_rollup(connection: sa.Connection, sums: Sums, groups: Mapping[int, tuple[Any, ...]]) -> None:
    """Merge aggregated sums into all three tables; `groups` has the stored values of every group in them.

    Runs in a write transaction.
    """
    rows: list[tuple[int, ...]] = []
    carried: list[tuple[int, ...]] = []
    for key, values in sums.items():
        tokens = values[_TOKENS_AT : _HISTOGRAM_AT - 1]
        cost = values[_HISTOGRAM_AT - 1]
        low = tokens
        if max(tokens) > LOW_MASK or min(tokens) < -LOW_MASK:
            low = [value & LOW_MASK for value in tokens]
            carried.append((*key, *(value >> LOW_BITS for value in tokens)))
        rows.append((*key, values[0], cost >> LOW_BITS, cost & LOW_MASK, *low, *values[_HISTOGRAM_AT:]))
    into_rollup, into_carry = _statements(connection.dialect)
    if rows:
        into_rollup.run(connection, rows)
    if carried:
        into_carry.run(connection, carried)
    add_to_facets(connection, sums, groups)
