"""Daily sums per single facet value: what most reports ask for, in a hundredth of the rows of `rollup`.

`rollup` can answer any combination of filters; a page without filters, or with one, would add up 165,000 of its rows
for 90 days of a busy team (measured: 350 ms). The same sums per provider, model, feature, task, key, status class and
streamed are a few thousand rows. Both are written in one transaction with the requests.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.ledger.dialects import RowInsert, insert_merging
from app.ledger.tables import (
    COUNT_COLUMNS,
    FREE,
    HISTOGRAM_COLUMNS,
    PAIRED_COLUMNS,
    PRICED,
    TOKEN_COLUMNS,
    facet_sums,
    groups,
)

LOW_BITS = 32
LOW_MASK = 2**LOW_BITS - 1
SUMMED_FACETS = ("provider", "model", "feature", "task", "key", "status", "streamed")
"""`facet_sums.facet` is the place in this list, which may only grow."""
ABSENT = ""
"""`facet_sums.value` where the request had none."""
KEY_COLUMNS = ("calendar", "facet", "day", "value")
PAIR_NAMES = tuple(f"{name}_{half}" for name in PAIRED_COLUMNS for half in ("high", "low"))
FACET_SUM_COLUMNS = (*COUNT_COLUMNS, *PAIR_NAMES, *HISTOGRAM_COLUMNS)

Sums = dict[tuple[int, int, int], list[int]]
FacetSums = dict[tuple[int, int, int, str], list[int]]
_COST_AT = 1 + len(TOKEN_COLUMNS)
_PAIRS = slice(len(COUNT_COLUMNS), len(COUNT_COLUMNS) + len(PAIRED_COLUMNS))


def status_class(status: int | None) -> str:
    """`2xx`, `4xx` …, or `none`."""
    return "none" if status is None else f"{status // 100}xx"


def fold(sums: Sums, stored: Mapping[int, tuple[Any, ...]]) -> FacetSums:
    """Sums per (calendar, facet, day, value): counts, paired sums and histogram, from those per group."""
    folded: FacetSums = {}
    for (calendar, day, group_id), values in sums.items():
        key, provider, model, feature, task, _, streamed, status, _, priced, estimated, failed = stored[group_id]
        count, cost = values[0], values[_COST_AT]
        counts = (count, count * (priced != FREE), count * (priced == PRICED), count * estimated, count * failed)
        numbers = (*counts, cost, cost * estimated, *values[1:_COST_AT], *values[_COST_AT + 1 : -4])
        changed = [(index, number) for index, number in enumerate(numbers) if number]
        facets = (provider, model, feature, task, key, status_class(status), str(streamed))
        for facet, value in enumerate(facets):
            place = (calendar, facet, day, value or ABSENT)
            into = folded.get(place)
            if into is None:
                into = folded[place] = [0] * len(numbers)
            for index, number in changed:
                into[index] += number
    return folded


@lru_cache(maxsize=4)
def _statement(dialect: sa.Dialect) -> RowInsert:
    merge = dict.fromkeys(FACET_SUM_COLUMNS, lambda old, new: old + new)
    statement = insert_merging(dialect, facet_sums, KEY_COLUMNS, merge)
    return RowInsert(statement, dialect, (*KEY_COLUMNS, *FACET_SUM_COLUMNS))


def add_to_facets(connection: sa.Connection, sums: Sums, stored: Mapping[int, tuple[Any, ...]]) -> None:
    """Merge sums per group into `facet_sums`. Runs in a write transaction."""
    rows = []
    for place, numbers in fold(sums, stored).items():
        pairs = (half for number in numbers[_PAIRS] for half in (number >> LOW_BITS, number & LOW_MASK))
        rows.append((*place, *numbers[: _PAIRS.start], *pairs, *numbers[_PAIRS.stop :]))
    if rows:
        _statement(connection.dialect).run(connection, rows)


def stored_groups(connection: sa.Connection, ids: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """The stored values of these groups, as `rows.group_values` made them."""
    wanted = sorted(ids)
    columns = [column for column in groups.c if column.name not in ("id", "digest")]
    found: dict[int, tuple[Any, ...]] = {}
    for start in range(0, len(wanted), 500):
        query = sa.select(groups.c.id, *columns).where(groups.c.id.in_(wanted[start : start + 500]))
        found |= {row[0]: tuple(row[1:]) for row in connection.execute(query)}
    return found
