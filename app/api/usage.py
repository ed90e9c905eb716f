"""`GET /api/usage`: sums of the ledger by day, model, provider, feature, task or key."""

from datetime import date
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from app.api import parameters
from app.api.failures import BadQuery, documented
from app.domain import usd_text
from app.ledger.reports import GROUPINGS, UsageRow, usage_by
from app.services import Services

_TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
_COUNTS = ("requests", "billable_requests", "priced_requests", "unpriced_requests", "estimated_requests")


class UsageAnswer(msgspec.Struct):
    """`rows` hold the group under the name it was asked by; days are counted in `zone`."""

    by: str
    zone: str
    since: date | None
    until: date | None
    rows: list[dict[str, Any]]
    total: dict[str, Any]


@get("/api/usage", responses=documented(400))
async def usage(
    request: parameters.Query,
    services: NamedDependency[Services],
    by: FromQuery[str] = "day",
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[UsageAnswer]:
    """Sums over whole days of the reporting zone: `since` inclusive, `until` exclusive."""
    parameters.only(request, ("by", "since", "until"))
    if by not in GROUPINGS:
        raise BadQuery(f"by is {by[:40]!r}; it may be {', '.join(GROUPINGS)}.")
    zone = services.team.values.reporting_zone
    first, last = parameters.day("since", since, zone), parameters.day("until", until, zone)
    parameters.in_order(first, last)
    report = await usage_by(services.database, by, since=first, until=last, zone=zone)
    rows = [{by: row.group, **_sums(row)} for row in report.rows]
    return Response(UsageAnswer(by, report.zone, first, last, rows, _sums(report.total)))


def _sums(row: UsageRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _COUNTS},
        "estimated_cost_usd": usd_text(row.estimated_cost_picousd),
        "cost_usd": usd_text(row.cost_picousd),
        "cost_picousd": row.cost_picousd,
        "errors": row.errors,
        **{name: getattr(row, name) for name in _TOKENS},
    }
