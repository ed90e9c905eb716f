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
from app.errors import LectrError
from app.ledger import reports
from app.ledger.filters import RequestFilter
from app.services import DOCTOR_KEY

_RANGES = ("7d", "30d", "90d")
_DEFAULT_RANGE = "30d"
_TOP = 6
_SERIES = 8
_RETIRES_WITHIN_DAYS = 90
_STALE_PRICES_DAYS = 45


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


class Advised(msgspec.Struct, frozen=True):
    """What advice on the last thirty days would have saved; None while it is being worked out, `url` asks again."""

    headline: Any
    url: str


class OverviewView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of overview.html."""

    query: Query
    ranges: list[Link]
    sums: list[Sum]
    total: Any
    probes: Any
    """The sums of `lectr doctor`'s own requests: they are in all others, but count among nobody's errors."""
    p50_ms: float | None
    p95_ms: float | None
    overhead: Overhead | None
    advised: Advised
    chart: Chart | None
    features: list[Any]
    tasks: list[Any]
    retiring: list[Retiring]
    prices_age_days: int
    stale_prices: bool
    rebuilding: bool
    """True while the days of a new reporting zone are being summed: these are UTC's."""


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
    days: dict[str, Any] = {"since": span.since, "until": span.until, "zone": page.zone}
    database = page.services.database
    by_model = await reports.usage_by(database, "model", **days)
    by_day = await reports.usage_by(database, "day", **{**days, "since": min(span.since or day, _longest_sum(day))})
    catalog = page.services.catalog.current
    view = OverviewView(
        query=query,
        ranges=[Link(label[:-1], query.url(range=label), label == name) for label in _RANGES],
        sums=[_sum(label, preset_name, by_day.rows, day) for label, preset_name in _SPANS],
        total=by_model.total,
        probes=(await reports.usage_by(database, "key", f=_PROBES, **days)).total,
        p50_ms=reports.quantile(by_model.total.duration_histogram, 0.5),
        p95_ms=reports.quantile(by_model.total.duration_histogram, 0.95),
        overhead=_overhead(page),
        advised=await _advised(page, query),
        chart=await _chart(page, by_model.rows[:_SERIES], by_day.rows, span.since or day, day),
        features=(await reports.usage_by(database, "feature", **days)).rows[:_TOP],
        tasks=(await reports.usage_by(database, "task", **days)).rows[:_TOP],
        retiring=_retiring(catalog, by_model.rows, day),
        prices_age_days=(day - catalog.listed_on).days,
        stale_prices=(day - catalog.listed_on).days > _STALE_PRICES_DAYS,
        rebuilding=by_day.zone != page.zone,
    )
    block = "advised" if page.parameters("part") == {"part": "advised"} else "results"
    return await page.answer("overview.html", view, title="Overview", block=block)


_PROBES = RequestFilter(key=DOCTOR_KEY.name)
_SPANS = (("Today", "today"), ("7 days", "7d"), ("30 days", "30d"))


def _longest_sum(day: date) -> date:
    return preset(_SPANS[-1][1], day).since or day


def _sum(label: str, name: str, rows: list[Any], day: date) -> Sum:
    first = (preset(name, day).since or day).isoformat()
    return Sum(label, reports.total_of([row for row in rows if row.group >= first]), f"/requests?range={name}")


async def _advised(page: Page, query: Query) -> Advised:
    """What advice would have saved, from the report at hand: this page never waits for one."""
    try:
        report = await page.services.advice.engine.report_within(0)
    except LectrError:
        report = None
    return Advised(None if report is None else report.headline, query.url(part="advised"))


async def _chart(page: Page, models: list[Any], by_day: list[Any], first: date, last: date) -> Chart | None:
    """Cost by day, one series for each of the dearest models and one for all others."""
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    names = [row.group for row in models if row.cost_picousd]
    until = last + timedelta(days=1)
    series = await reports.cost_by_day(page.services.database, names, since=first, until=until, zone=page.zone)
    whole = {row.group: row.cost_picousd for row in by_day if row.group >= days[0]}
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
