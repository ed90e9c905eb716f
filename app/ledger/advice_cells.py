"""Keeps the advice's daily sums: days whose requests have changed since are summed up anew before they are read.

The summing is one statement per day in the database, so a million requests cost it seconds once and the event loop
nothing. Whether a day is as it was is read from the ledger's own daily sums, which are written with the requests.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.errors import LedgerError
from app.ledger.advice_tables import advice_cells, advice_days
from app.ledger.clock import DAY_US, id_floor
from app.ledger.database import Database
from app.ledger.dialects import RowInsert
from app.ledger.facet_sums import LOW_BITS
from app.ledger.filters import RequestFilter
from app.ledger.schema import UTC_CALENDAR
from app.ledger.sums import read_sums
from app.ledger.tables import TOKEN_COLUMNS, requests

INPUT_COLUMNS = tuple(name for name in TOKEN_COLUMNS if "output" not in name and "reasoning" not in name)
OUTPUT_COLUMNS = ("output_tokens", "output_audio_tokens")
MOST_TOKENS = 2**40
"""No sum over a day may leave 63 bits, so one row counts this much at most; its cost shows that it was more."""
_STAMPED = ("requests", "billable", "priced", "estimated", "failed", "cost", *TOKEN_COLUMNS)
REQUESTS_AT_ONCE = 50_000
_ATTEMPTS = 3
CELL_COLUMNS = tuple(column.name for column in advice_cells.columns)


def size_of(thresholds: Sequence[int], counts: Iterable[int | None]) -> int:
    """How many of the sorted thresholds the sum of a row's input counts is over."""
    return bisect_left(thresholds, sum(min(count, MOST_TOKENS) for count in counts if count))


async def refresh_cells(database: Database, first: int, last: int, thresholds: Sequence[int]) -> dict[int, str]:
    """Bring the cells of the days `first` to `last` (numbers, both included) up to date. Raises LedgerError.

    Returns a stamp for each day that has requests: while it is the same, so are they.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return await _refresh(database, first, last, thresholds)
        except LedgerError:
            # Another process may have written the same days at the same time: then they are up to date now.
            if attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError("the loop above returns or raises")


async def _refresh(database: Database, first: int, last: int, thresholds: Sequence[int]) -> dict[int, str]:
    current, kept = await database.read(lambda connection: _stamps(connection, first, last, thresholds))
    changed = [day for day in sorted(current.keys() | kept.keys()) if current.get(day) != kept.get(day)]
    sizes = {day: stamp.requests for day, stamp in current.items()}
    for days in _portions(changed, sizes):
        rows = await database.read_at_length(partial(_summed, days=days, thresholds=thresholds))
        await database.write(partial(_store, days=days, rows=rows, stamps=current))
    return {day: stamp.text for day, stamp in current.items()}


class _Stamp(NamedTuple):
    requests: int
    text: str


def _portions(days: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Days summed up together: few enough requests that neither a thread nor the writer is long at it."""
    portion: list[int] = []
    size = 0
    for day in days:
        if portion and size + sizes.get(day, 0) > REQUESTS_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(day)
        size += sizes.get(day, 0)
    if portion:
        yield portion


def _stamps(
    connection: sa.Connection, first: int, last: int, thresholds: Sequence[int]
) -> tuple[dict[int, _Stamp], dict[int, _Stamp]]:
    form = ",".join(map(str, thresholds))
    sums = read_sums(connection, "day", (UTC_CALENDAR, first, last), RequestFilter(), [])
    current = {day: _stamp(form, [found[name] for name in _STAMPED]) for day, found in sums}
    query = sa.select(advice_days.c.day, advice_days.c.stamp).where(advice_days.c.day.between(first, last))
    texts = {row.day: row.stamp for row in connection.execute(query)}
    return current, {day: _Stamp(current[day].requests if day in current else 0, text) for day, text in texts.items()}


def _stamp(form: str, sums: Sequence[int]) -> _Stamp:
    return _Stamp(sums[0], hashlib.sha256(f"{form};{','.join(map(str, sums))}".encode()).hexdigest())


def _count(name: str) -> Any:
    column = sa.func.coalesce(requests.c[name], 0)
    return sa.case((column > MOST_TOKENS, MOST_TOKENS), else_=column)


def _total(names: Sequence[str]) -> Any:
    total = _count(names[0])
    for name in names[1:]:
        total = total + _count(name)
    return total


def size_expression(thresholds: Sequence[int]) -> Any:
    """`size_of` as SQL. Most requests are small, and the first threshold that holds ends the reckoning."""
    total = _total(INPUT_COLUMNS)
    return sa.case(*((total <= threshold, size) for size, threshold in enumerate(thresholds)), else_=len(thresholds))


def _summed(connection: sa.Connection, days: Sequence[int], thresholds: Sequence[int]) -> list[tuple[Any, ...]]:
    return [row for day in days for row in _summed_day(connection, day, thresholds)]


def _summed_day(connection: sa.Connection, day: int, thresholds: Sequence[int]) -> list[tuple[Any, ...]]:
    c = requests.c
    size = size_expression(thresholds).label("size")
    cost = sa.func.coalesce(c.cost_picousd, 0)
    into, out = _total(INPUT_COLUMNS), _total(OUTPUT_COLUMNS)
    query = (
        sa.select(
            sa.literal(day),
            c.group_id,
            c.detail_id,
            size,
            sa.func.count(),
            sa.func.sum(cost // sa.literal(2**LOW_BITS)),
            sa.func.sum(cost % sa.literal(2**LOW_BITS)),
            *(sa.func.sum(_count(name)) for name in TOKEN_COLUMNS),
            sa.func.max(into),
            sa.func.max(out),
            sa.func.max(into + out),
        )
        .where(c.id >= id_floor(day * DAY_US), c.id < id_floor((day + 1) * DAY_US))
        .group_by(c.group_id, c.detail_id, size)
    )
    return [tuple(map(int, row)) for row in connection.execute(query)]


def _store(
    connection: sa.Connection, days: Sequence[int], rows: list[tuple[Any, ...]], stamps: Mapping[int, _Stamp]
) -> None:
    connection.execute(advice_cells.delete().where(advice_cells.c.day.in_(days)))
    connection.execute(advice_days.delete().where(advice_days.c.day.in_(days)))
    if rows:
        RowInsert(advice_cells.insert(), connection.dialect, CELL_COLUMNS).run(connection, rows)
    kept = [{"day": day, "stamp": stamps[day].text} for day in days if day in stamps]
    if kept:
        connection.execute(advice_days.insert(), kept)
