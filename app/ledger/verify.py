"""Proves that the daily sums say what the rows say."""

from functools import partial

import sqlalchemy as sa

from app.ledger.calendar_build import newest_day, sums_of_day
from app.ledger.clock import day_text, first_whole_day
from app.ledger.database import Database
from app.ledger.days import COMPLETE
from app.ledger.facet_sums import FACET_SUM_COLUMNS, LOW_BITS, PAIR_NAMES, SUMMED_FACETS, fold, stored_groups
from app.ledger.rollup import BOUND_COLUMNS, read_calendars
from app.ledger.rows_since import rows_since_us
from app.ledger.tables import (
    COUNT_COLUMNS,
    HISTOGRAM_COLUMNS,
    TOKEN_COLUMNS,
    facet_sums,
    groups,
    requests,
    rollup,
    rollup_carry,
)

MAX_SENTENCES = 50
FIRST_OF_ALL = -(10**9)


async def verify_rollup(database: Database) -> list[str]:
    """Compare every day that has all its rows with these, in every calendar; one sentence per difference, at most 50.

    Takes about 12 s per million rows and calendar, in a reading connection. Raises LedgerError.
    """
    found = await database.read(_orphans)
    since_us = await database.read(rows_since_us)
    for number, zone, first in await database.read(read_calendars):
        if first != COMPLETE:
            continue
        day = await database.read(partial(newest_day, zone=zone))
        seen: set[int] = set()
        # Rows of earlier days have been deleted, their sums not: there is nothing to compare those with.
        whole = FIRST_OF_ALL if since_us == 0 else first_whole_day(since_us, zone)
        while day is not None and day >= whole and len(found) < MAX_SENTENCES:
            found += await database.read(partial(_compare, calendar=number, zone=zone, day=day))
            seen.add(day)
            day = await database.read(partial(newest_day, zone=zone, before=day))
        summed = await database.read(partial(_summed_days, calendar=number))
        if len(found) < MAX_SENTENCES:
            extra = sorted(one for one in summed - seen if one >= whole)
            found += [f"{day_text(one)} ({zone}) has sums and no rows" for one in extra]
    return found[:MAX_SENTENCES]


def _orphans(connection: sa.Connection) -> list[str]:
    lost = requests.outerjoin(groups, groups.c.id == requests.c.group_id)
    query = sa.select(sa.func.count()).select_from(lost).where(groups.c.id.is_(None))
    count = connection.execute(query).scalar_one()
    return [f"{count} rows belong to no group"] if count else []


def _summed_days(connection: sa.Connection, calendar: int) -> set[int]:
    query = sa.select(rollup.c.day).where(rollup.c.calendar == calendar, rollup.c.requests != 0).distinct()
    return set(connection.execute(query).scalars())


def _compare(connection: sa.Connection, calendar: int, zone: str, day: int) -> list[str]:
    rows = sums_of_day(connection, zone, day)
    summed = _stored(connection, calendar, day)
    names = ("requests", *TOKEN_COLUMNS, "cost_picousd", *HISTOGRAM_COLUMNS)
    found = []
    for group_id in sorted(rows.keys() | summed.keys()):
        counted, stored = rows.get(group_id), summed.get(group_id)
        if counted is None or stored is None:
            if counted is not None or any((stored or [])[:-4]):
                found.append(f"{day_text(day)} ({zone}), group {group_id}: {'no sums' if counted else 'no rows'}")
            continue
        wrong = [
            f"{name} {has} instead of {should}"
            for name, has, should in zip(names, stored[:-4], counted[:-4], strict=True)
            if has != should
        ]
        most, least, longest, shortest = (has - should for has, should in zip(stored[-4:], counted[-4:], strict=True))
        if most < 0 or least > 0 or longest < 0 or shortest > 0:
            wrong.append("bounds that leave rows out")
        if wrong:
            found.append(f"{day_text(day)} ({zone}), group {group_id}: {', '.join(wrong)}")
    return found + _compare_facets(connection, rows, calendar, zone, day)


def _compare_facets(
    connection: sa.Connection, rows: dict[int, list[int]], calendar: int, zone: str, day: int
) -> list[str]:
    stored = stored_groups(connection, rows)
    sums = {(calendar, day, group_id): values for group_id, values in rows.items() if group_id in stored}
    counted = {(facet, value): numbers for (_, facet, _, value), numbers in fold(sums, stored).items()}
    c = facet_sums.c
    query = sa.select(c.facet, c.value, *(c[name] for name in FACET_SUM_COLUMNS))
    summed = {}
    for facet, value, *numbers in map(tuple, connection.execute(query.where(c.calendar == calendar, c.day == day))):
        counts, rest = numbers[: len(COUNT_COLUMNS)], numbers[len(COUNT_COLUMNS) :]
        pairs, histogram = rest[: len(PAIR_NAMES)], rest[len(PAIR_NAMES) :]
        totals = [(high << LOW_BITS) + low for high, low in zip(pairs[::2], pairs[1::2], strict=True)]
        summed[facet, value] = [*counts, *totals, *histogram]
    nothing = [0] * (len(COUNT_COLUMNS) + len(PAIR_NAMES) // 2 + len(HISTOGRAM_COLUMNS))
    return [
        f"{day_text(day)} ({zone}), {SUMMED_FACETS[facet]} {value or 'none'}: not the sum of its groups"
        for facet, value in sorted(counted.keys() | summed.keys())
        if counted.get((facet, value), nothing) != summed.get((facet, value), nothing)
    ]


def _stored(connection: sa.Connection, calendar: int, day: int) -> dict[int, list[int]]:
    c = rollup.c
    columns = [c.requests, *(c[name] for name in TOKEN_COLUMNS), c.cost_high, c.cost_low]
    columns += [c[name] for name in (*HISTOGRAM_COLUMNS, *BOUND_COLUMNS)]
    query = sa.select(c.group_id, *columns).where(c.calendar == calendar, c.day == day)
    found: dict[int, list[int]] = {}
    cost_at = 1 + len(TOKEN_COLUMNS)
    for group_id, *values in connection.execute(query):
        counts, (high, low), rest = values[:cost_at], values[cost_at : cost_at + 2], values[cost_at + 2 :]
        found[group_id] = [*counts, (high << LOW_BITS) + low, *rest]
    k = rollup_carry.c
    carried = sa.select(k.group_id, *(k[name] for name in TOKEN_COLUMNS)).where(k.calendar == calendar, k.day == day)
    for group_id, *highs in connection.execute(carried):
        into = found.setdefault(group_id, [0] * (2 + len(TOKEN_COLUMNS) + len(HISTOGRAM_COLUMNS) + 4))
        for index, high in enumerate(highs, 1):
            into[index] += high << LOW_BITS
    return found
