"""/: what was spent today, in 7 and in 30 days, on what, and what needs a look."""

from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.catalog.catalog import Catalog
from app.console.chart import Chart, stacked
from app.console.links import Query
from app.console.page import Page
from app.console.request_query import preset
from app.console.requests import Link
from app.console.times import today
from app.ledger import reports
from app.ledger.filters import RequestFilter

_RANGES = ("7d", "30d", "90d")
_DEFAULT_RANGE = "30d"
_TOP = 6
_SERIES = 8
_RETIRES_WITHIN_DAYS = 90
_STALE_PRICES_DAYS = 45
_PARKED = "rows could not be written to the ledger and are parked: see the log, and `lectr doctor`"


class Sum(msgspec.Struct, frozen=True):
    """Spend of a span of days, its coverage, and where its requests are."""

    label: str
    total: Any
    url: str


class Retiring(msgspec.Struct, frozen=True):
    """A model in use that its provider stops serving soon, or has stopped."""

    model: str
    provider: str
    ends: date | None
    alive: bool
    replacement: str | None
    requests: int


class Overhead(msgspec.Struct, frozen=True):
    """Quantiles of Lectr's own part of the last `requests` requests of this process, microseconds."""

    p50_us: int
    p95_us: int
    p99_us: int
    requests: int


class OverviewView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of overview.html."""

    query: Query
    ranges: list[Link]
    sums: list[Sum]
    total: Any
    p50_ms: float | None
    p95_ms: float | None
    overhead: Overhead | None
    chart: Chart | None
    features: list[Any]
    tasks: list[Any]
    retiring: list[Retiring]
    prices_age_days: int
    stale_prices: bool
    troubles: list[str]


@get("/")
async def show_overview(page: NamedDependency[Page]) -> Response[bytes]:
    """The overview for a range of days; the three sums on top are always the same spans."""
    given = page.parameters("range")
    name = given.get("range", _DEFAULT_RANGE)
    if name not in _RANGES:
        name, given = _DEFAULT_RANGE, {}
    query = Query("/", given)
    day = today(page.now_us(), page.zone)
    span = preset(name, day)
    days = {"since": span.since, "until": span.until, "zone": page.zone}
    database = page.services.database
    by_model = await reports.usage_by(database, "model", **days)  # type: ignore[arg-type]
    view = OverviewView(
        query=query,
        ranges=[Link(label[:-1], query.url(range=label), label == name) for label in _RANGES],
        sums=[await _sum(page, label, preset_name, day) for label, preset_name in _SPANS],
        total=by_model.total,
        p50_ms=reports.quantile(by_model.total.duration_histogram, 0.5),
        p95_ms=reports.quantile(by_model.total.duration_histogram, 0.95),
        overhead=_overhead(page),
        chart=await _chart(page, [row.group for row in by_model.rows[:_SERIES]], span.since or day, day),
        features=(await reports.usage_by(database, "feature", **days)).rows[:_TOP],  # type: ignore[arg-type]
        tasks=(await reports.usage_by(database, "task", **days)).rows[:_TOP],  # type: ignore[arg-type]
        retiring=_retiring(page.services.catalog.current, by_model.rows, day),
        prices_age_days=(day - page.services.catalog.current.listed_on).days,
        stale_prices=(day - page.services.catalog.current.listed_on).days > _STALE_PRICES_DAYS,
        troubles=_troubles(page),
    )
    return await page.answer("overview.html", view, title="Overview", block="results")


_SPANS = (("Today", "today"), ("7 days", "7d"), ("30 days", "30d"))


async def _sum(page: Page, label: str, name: str, day: date) -> Sum:
    span = preset(name, day)
    usage = await reports.usage_by(
        page.services.database, "provider", since=span.since, until=span.until, zone=page.zone
    )
    return Sum(label, usage.total, f"/requests?range={name}")


async def _chart(page: Page, models: list[str], first: date, last: date) -> Chart | None:
    """Cost by day, one series for each of the dearest models and one for all others."""
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]

    async def by_day(f: RequestFilter | None) -> dict[str, int]:
        usage = await reports.usage_by(
            page.services.database, "day", since=first, until=last + timedelta(days=1), zone=page.zone, f=f
        )
        return {row.group: row.cost_picousd for row in usage.rows}

    whole = await by_day(None)
    series = {name: await by_day(RequestFilter(model=name)) for name in models}
    rest = {day: cost - sum(one.get(day, 0) for one in series.values()) for day, cost in whole.items()}
    if any(rest.values()):
        series["Other"] = rest
    return stacked(days, series) if any(whole.values()) else None


def _retiring(catalog: Catalog, rows: list[Any], day: date) -> list[Retiring]:
    found = []
    for row in rows:
        model = catalog.find(row.group)
        if model is None:
            continue
        life = model.lifecycle
        soon = life.ends is not None and life.ends <= day + timedelta(days=_RETIRES_WITHIN_DAYS)
        if soon or not life.alive_on(day):
            alive = life.alive_on(day)
            found.append(Retiring(row.group, model.provider, life.ends, alive, life.replacement, row.requests))
    return sorted(found, key=lambda item: (item.ends or date.min, item.model))


def _overhead(page: Page) -> Overhead | None:
    counters = page.services.counters
    quantiles = counters.overhead_quantiles_us()
    return Overhead(*quantiles, requests=len(counters.overheads_us)) if quantiles else None


def _troubles(page: Page) -> list[str]:
    """What makes today's figures less than whole; empty where all is well."""
    counters = page.services.ledger.counters
    troubles = []
    if counters.lost:
        troubles.append(f"{counters.lost:,} rows of the ledger were lost since this process started: see the log.")
    if counters.parked:
        troubles.append(f"{counters.parked:,} {_PARKED}.")
    if counters.oldest_waiting_s > 1:
        troubles.append(f"The ledger is {counters.oldest_waiting_s:.0f} s behind: {counters.waiting:,} rows wait.")
    return troubles
