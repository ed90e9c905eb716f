"""/features: what each feature and each task costs, and how much of the traffic says neither."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.console.links import Query
from app.console.page import Page
from app.console.request_query import PARAMETERS, understand
from app.console.requests import Link, range_links
from app.ledger import reports
from app.ledger.filters import UNTAGGED

_DEFAULT_RANGE = "30d"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One feature or task: its sums and where its requests are listed."""

    row: Any
    url: str
    failed_url: str
    untagged: bool
    width: float
    p50_ms: float | None
    p95_ms: float | None


class FeaturesView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of features.html."""

    ranges: list[Link]
    features: list[Group]
    tasks: list[Group]
    total: Any
    untagged: Any
    rebuilding: bool


@get("/features")
async def show_features(page: NamedDependency[Page]) -> Response[bytes]:
    """Both tables for a range of days."""
    given = page.parameters("range", "since", "until")
    query = Query("/features", given or {"range": _DEFAULT_RANGE})
    asked = understand(query, page.now_us(), page.zone)
    span = asked.span
    database = page.services.database
    by_feature = await reports.usage_by(database, "feature", since=span.since, until=span.until, zone=page.zone)
    by_task = await reports.usage_by(database, "task", since=span.since, until=span.until, zone=page.zone)
    requests_query = Query("/requests", {name: query.values[name] for name in PARAMETERS if name in query.values})
    view = FeaturesView(
        ranges=range_links(query),
        features=_groups(by_feature.rows, "feature", requests_query),
        tasks=_groups(by_task.rows, "task", requests_query),
        total=by_feature.total,
        untagged=next((row for row in by_feature.rows if row.group == UNTAGGED), None),
        rebuilding=by_feature.zone != page.zone,
    )
    return await page.answer("features.html", view, title="Features", block="results")


def _groups(rows: list[Any], name: str, query: Query) -> list[Group]:
    whole = sum(row.cost_picousd for row in rows) or 1
    return [
        Group(
            row=row,
            url=query.url(**{name: row.group}),
            failed_url=query.url(**{name: row.group, "failed": "true"}),
            untagged=row.group == UNTAGGED,
            width=round(100 * row.cost_picousd / whole, 1),
            p50_ms=reports.quantile(row.duration_histogram, 0.5),
            p95_ms=reports.quantile(row.duration_histogram, 0.95),
        )
        for row in rows
    ]
