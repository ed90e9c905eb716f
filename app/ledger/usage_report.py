"""Sums per day, provider, model, feature, task or key, and latency, all from the daily sums."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.clock import day_number, day_text
from app.ledger.database import Database
from app.ledger.days import calendar_of, day_conditions, days_touched
from app.ledger.filters import UNTAGGED, RequestFilter, group_conditions
from app.ledger.histogram import BUCKETS, quantile
from app.ledger.rollup import LOW_BITS
from app.ledger.tables import FREE, HISTOGRAM_COLUMNS, PRICED, TOKEN_COLUMNS, UNPRICED, groups, rollup, rollup_carry
from app.ledger.time_order import chosen_groups

GROUPINGS = ("day", "model", "provider", "feature", "task", "key")
NONE = "none"
"""Group value of requests that name no model or reached no provider."""


class UsageRow(msgspec.Struct, kw_only=True):
    """Sums of one group. `errors` are requests with a status of 400 or more, without one, or not ended `ok`.

    Requests are billable or not; billable ones are priced or unpriced. Estimated ones are among all of these.
    """

    group: str
    requests: int = 0
    billable_requests: int = 0
    priced_requests: int = 0
    unpriced_requests: int = 0
    estimated_requests: int = 0
    estimated_cost_picousd: int = 0
    cost_picousd: int = 0
    errors: int = 0
    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    duration_histogram: list[int] = []


class UsageReport(msgspec.Struct):
    """`rows` by day, else dearest first; `zone` is the one whose days were counted."""

    by: str
    zone: str
    rows: list[UsageRow]
    total: UsageRow


class Latency(msgspec.Struct):
    """Quantiles of the duration of `requests` requests in ms, None where there is none, and their histogram."""

    requests: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    duration_histogram: list[int]


def _when(condition: Any, column: Any) -> Any:
    return sa.func.sum(sa.case((condition, column), else_=0))


_R, _G = rollup.c, groups.c
_COUNTS = (
    sa.func.sum(_R.requests),
    _when(_G.priced != FREE, _R.requests),
    _when(_G.priced == PRICED, _R.requests),
    _when(_G.priced == UNPRICED, _R.requests),
    _when(_G.estimated == 1, _R.requests),
    _when(_G.failed == 1, _R.requests),
    _when(_G.estimated == 1, _R.cost_high),
    _when(_G.estimated == 1, _R.cost_low),
    sa.func.sum(_R.cost_high),
    sa.func.sum(_R.cost_low),
)
_COUNT_FIELDS = (
    *("requests", "billable_requests", "priced_requests", "unpriced_requests", "estimated_requests", "errors"),
)


async def usage_by(
    database: Database,
    by: str,
    *,
    since: date | None = None,
    until: date | None = None,
    zone: str = "UTC",
    f: RequestFilter | None = None,
) -> UsageReport:
    """Sums per `by` over whole days of `zone`, `since` inclusive, `until` exclusive; the filter's own times are unused.

    While the days of a new reporting zone are still being built, those of UTC are used: see the report's `zone`.
    Raises ValueError with a sentence for an unknown `by`, zone or filter.
    """
    if by not in GROUPINGS:
        raise ValueError(f"by {by[:40]!r}: write one of {', '.join(GROUPINGS)}")
    first = None if since is None else day_number(since)
    last = None if until is None else day_number(until - timedelta(days=1))
    conditions = group_conditions(f) if f is not None else []

    def work(connection: sa.Connection) -> UsageReport:
        calendar, used = calendar_of(connection, zone)
        rows = _sum_rows(connection, by, day_conditions(calendar, first, last), conditions)
        key = (lambda row: row.group) if by == "day" else (lambda row: (-row.cost_picousd, -row.requests, row.group))
        return UsageReport(by, used, sorted(rows, key=key), total_of(rows))

    return await database.read(work)


def _sum_rows(connection: sa.Connection, by: str, days: list[Any], conditions: list[Any]) -> list[UsageRow]:
    group = _R.day if by == "day" else _G[by]
    tokens = (sa.func.sum(_R[name]) for name in TOKEN_COLUMNS)
    histogram = (sa.func.sum(_R[name]) for name in HISTOGRAM_COLUMNS)
    query = sa.select(group, *_COUNTS, *tokens, *histogram).join(groups, _G.id == _R.group_id)
    query = query.where(*days, *conditions).group_by(group)
    found = {row[0]: _row(_name(by, row[0]), row[1:]) for row in connection.execute(query)}
    for value, *carried in connection.execute(_carried(by, days, conditions)):
        for name, high in zip(TOKEN_COLUMNS, carried, strict=True):
            setattr(found[value], name, getattr(found[value], name) + (high << LOW_BITS))
    return [row for row in found.values() if row.requests]


def _carried(by: str, days: list[Any], conditions: list[Any]) -> Any:
    c = rollup_carry.c
    # The carry has a row only where the rollup has one, so the rollup's conditions hold for it through the join.
    same = sa.and_(c.calendar == _R.calendar, c.day == _R.day, c.group_id == _R.group_id)
    group = _R.day if by == "day" else _G[by]
    query = sa.select(group, *(sa.func.sum(c[name]) for name in TOKEN_COLUMNS))
    query = query.select_from(rollup_carry.join(rollup, same).join(groups, _G.id == _R.group_id))
    return query.where(*days, *conditions).group_by(group)


def _name(by: str, value: Any) -> str:
    if by == "day":
        return day_text(value)
    if value is None:
        return UNTAGGED if by in ("feature", "task") else NONE
    return str(value)


def _row(name: str, values: Sequence[Any]) -> UsageRow:
    numbers = [int(value) for value in values]
    estimated_high, estimated_low, high, low = numbers[6:10]
    row = UsageRow(group=name, duration_histogram=numbers[10 + len(TOKEN_COLUMNS) :])
    for field, value in zip(_COUNT_FIELDS, numbers[:6], strict=True):
        setattr(row, field, value)
    for field, value in zip(TOKEN_COLUMNS, numbers[10 : 10 + len(TOKEN_COLUMNS)], strict=True):
        setattr(row, field, value)
    row.estimated_cost_picousd = (estimated_high << LOW_BITS) + estimated_low
    row.cost_picousd = (high << LOW_BITS) + low
    return row


def total_of(rows: Sequence[UsageRow]) -> UsageRow:
    """The sum of all rows, its group named `total`."""
    total = UsageRow(group="total", duration_histogram=[0] * BUCKETS)
    for row in rows:
        for field in UsageRow.__struct_fields__[1:-1]:
            setattr(total, field, getattr(total, field) + getattr(row, field))
        total.duration_histogram = [
            a + b for a, b in zip(total.duration_histogram, row.duration_histogram, strict=True)
        ]
    return total


async def latency(database: Database, f: RequestFilter) -> Latency:
    """Quantiles of the duration of matching requests; the time range is widened to whole days of the reporting zone.

    Raises ValueError with a sentence for a filter that cannot be used.
    """
    conditions = group_conditions(f)

    def work(connection: sa.Connection) -> list[int]:
        calendar, zone = calendar_of(connection)
        query = sa.select(*(sa.func.sum(_R[name]) for name in HISTOGRAM_COLUMNS))
        query = query.where(*day_conditions(calendar, *days_touched(f, zone)))
        if conditions:
            query = query.where(_R.group_id.in_(chosen_groups(conditions)))
        return [int(value or 0) for value in connection.execute(query).one()]

    histogram = await database.read(work)
    p50, p95, p99 = (quantile(histogram, share) for share in (0.5, 0.95, 0.99))
    return Latency(sum(histogram), p50, p95, p99, histogram)
