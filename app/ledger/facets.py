"""How many requests each value of each filter would give, from the daily sums."""

from functools import partial
from typing import Any

import sqlalchemy as sa

from app.ledger.database import Database
from app.ledger.days import calendar_of, day_conditions, days_touched
from app.ledger.facet_sums import ABSENT, SUMMED_FACETS, status_class
from app.ledger.filters import FACETS, UNTAGGED, RequestFilter, condition_on, search_condition
from app.ledger.sums import facet_days, is_plain
from app.ledger.tables import FREE, PRICED, facet_sums, groups, rollup
from app.ledger.time_order import chosen_groups

MAX_VALUES = 100


async def facets(database: Database, f: RequestFilter) -> dict[str, list[tuple[str, int]]]:
    """Per facet its values with their number of requests, most first, at most 100.

    A facet is counted under all filters but its own, so it shows what choosing another value would give. Values are
    what the filter takes: `untagged`, `4xx` or `none` for status, `true` or `false` for priced (billable requests
    only) and streamed. The time range is widened to whole days of the reporting zone; an id search counts nothing.
    Raises ValueError with a sentence for a filter that cannot be used.
    """
    if is_plain(f):
        return await database.read(partial(_unfiltered, f=f))
    set_on = {name: condition_on(f, name) for name in FACETS}
    set_on = {name: condition for name, condition in set_on.items() if condition is not None}
    always = [condition_on(f, "outcome"), condition_on(f, "endpoint"), search_condition(f)]

    def work(connection: sa.Connection) -> list[Any]:
        calendar, zone = calendar_of(connection)
        days = day_conditions(calendar, *days_touched(f, zone))
        if len(set_on) > 1:
            # A group that fails two filters is in no facet; most do, so they are not added up at all.
            failing: Any = sum(sa.case((condition, 0), else_=1) for condition in set_on.values())
            days.append(rollup.c.group_id.in_(chosen_groups([failing <= 1])))
        per_group = (
            sa.select(rollup.c.group_id, sa.func.sum(rollup.c.requests).label("counted"))
            .where(*days)
            .group_by(rollup.c.group_id)
            .subquery()
        )
        fails = (sa.case((condition, 0), else_=1) for condition in set_on.values())
        query = sa.select(per_group.c.counted, *(groups.c[name] for name in FACETS), *fails)
        query = query.join(groups, groups.c.id == per_group.c.group_id)
        return list(connection.execute(query.where(*(one for one in always if one is not None))))

    counts: dict[str, dict[str, int]] = {name: {} for name in FACETS}
    for row in await database.read(work):
        values, fails = row[1 : 1 + len(FACETS)], row[1 + len(FACETS) :]
        failed = [name for name, fail in zip(set_on, fails, strict=True) if fail]
        if len(failed) > 1:
            continue
        for name, value in zip(FACETS, values, strict=True):
            shown = None if failed and failed[0] != name else _shown(name, value)
            if shown is not None:
                counts[name][shown] = counts[name].get(shown, 0) + int(row[0])
    return {name: _most_first(found) for name, found in counts.items()}


def _shown(name: str, value: Any) -> str | None:
    """The value as a filter takes it; None for one that cannot be chosen."""
    if name == "status":
        return status_class(value)
    if name == "priced":
        return None if value == FREE else str(value == PRICED).lower()
    if name == "streamed":
        return str(bool(value)).lower()
    if value is None:
        return UNTAGGED if name in ("feature", "task") else None
    return str(value)


def _unfiltered(connection: sa.Connection, f: RequestFilter) -> dict[str, list[tuple[str, int]]]:
    calendar, zone = calendar_of(connection)
    c = facet_sums.c
    query = (
        sa.select(c.facet, c.value, *(sa.func.sum(c[name]) for name in ("requests", "billable", "priced")))
        .where(*facet_days(calendar, *days_touched(f, zone)))
        .group_by(c.facet, c.value)
    )
    counts: dict[str, dict[str, int]] = {name: {} for name in FACETS}
    for facet, value, *numbers in map(tuple, connection.execute(query)):
        count, billable, priced = (int(number) for number in numbers)
        name = SUMMED_FACETS[facet]
        if name == "provider":
            for shown, some in (("true", priced), ("false", billable - priced)):
                counts["priced"][shown] = counts["priced"].get(shown, 0) + some
        shown_value = {"0": "false", "1": "true"}[value] if name == "streamed" else value
        if value == ABSENT:
            shown_value = UNTAGGED if name in ("feature", "task") else ""
        if shown_value:
            counts[name][shown_value] = count
    return {name: _most_first(found) for name, found in counts.items()}


def _most_first(found: dict[str, int]) -> list[tuple[str, int]]:
    ordered = sorted(((name, count) for name, count in found.items() if count), key=lambda pair: (-pair[1], pair[0]))
    return ordered[:MAX_VALUES]
