"""Sums per day, provider, model, feature, task or key, and latency, all from the daily sums."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.clock import day_number, day_text
from app.ledger.database import Database
from app.ledger.days import calendar_of, days_touched
from app.ledger.facet_sums import ABSENT
from app.ledger.filters import UNTAGGED, RequestFilter, group_conditions
from app.ledger.histogram import BUCKETS, quantile
from app.ledger.sums import read_sums, read_total
from app.ledger.tables import HISTOGRAM_COLUMNS, TOKEN_COLUMNS

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

    Only UTC and the reporting zone have sums. Any other zone is answered in the reporting zone's days, and while those
    are still being built, in UTC's: the report's `zone` says which.
    Raises ValueError with a sentence for an unknown `by`, zone or filter.
    """
    if by not in GROUPINGS:
        raise ValueError(f"by {by[:40]!r}: write one of {', '.join(GROUPINGS)}")
    first = None if since is None else day_number(since)
    last = None if until is None else day_number(until - timedelta(days=1))
    asked = f or RequestFilter()
    conditions = group_conditions(asked)

    def work(connection: sa.Connection) -> UsageReport:
        calendar, used = calendar_of(connection, zone)
        found = read_sums(connection, by, (calendar, first, last), asked, conditions)
        rows = [_row(_name(by, value), sums) for value, sums in found if sums["requests"]]
        key = (lambda row: row.group) if by == "day" else (lambda row: (-row.cost_picousd, -row.requests, row.group))
        return UsageReport(by, used, sorted(rows, key=key), total_of(rows))

    return await database.read(work)


def _name(by: str, value: Any) -> str:
    if by == "day":
        return day_text(value)
    if value is None or value == ABSENT:
        return UNTAGGED if by in ("feature", "task") else NONE
    return str(value)


def _row(name: str, sums: dict[str, int]) -> UsageRow:
    return UsageRow(
        group=name,
        requests=sums["requests"],
        billable_requests=sums["billable"],
        priced_requests=sums["priced"],
        unpriced_requests=sums["billable"] - sums["priced"],
        estimated_requests=sums["estimated"],
        estimated_cost_picousd=sums["estimated_cost"],
        cost_picousd=sums["cost"],
        errors=sums["failed"],
        duration_histogram=[sums[column] for column in HISTOGRAM_COLUMNS],
        **{column: sums[column] for column in TOKEN_COLUMNS},
    )


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
        return read_total(connection, HISTOGRAM_COLUMNS, (calendar, *days_touched(f, zone)), f, conditions)

    histogram = await database.read(work)
    p50, p95, p99 = (quantile(histogram, share) for share in (0.5, 0.95, 0.99))
    return Latency(sum(histogram), p50, p95, p99, histogram)
