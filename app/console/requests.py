"""/requests: the ledger as a table, with search, facets, range, sort, and the same query as a file."""

from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.console.links import Query
from app.console.page import Page
from app.console.render import wants_fragment
from app.console.request_query import DEFAULT_RANGE, DIMENSIONS, FILTERS, PARAMETERS, RANGES, Asked, Span, understand
from app.domain import LedgerEntry
from app.ledger import reports

_PER_PAGE = 50
_FACET_VALUES = 12
_LABELS = {"q": "Search", "key": "Key", "priced": "Price", "streamed": "Answer"}
_VALUES = {
    ("priced", "true"): "with a price",
    ("priced", "false"): "no price",
    ("streamed", "true"): "streamed",
    ("streamed", "false"): "in one piece",
    ("failed", "true"): "failed",
    ("failed", "false"): "not failed",
}
_FILES = ("CSV", "NDJSON", "JSON")
_NO_ORDER = dict.fromkeys(("sort", "dir", "live", "after"))
_HISTOGRAM_WIDTH, _HISTOGRAM_HEIGHT = 600, 44


class Link(msgspec.Struct, frozen=True):
    """One choice of several: what it says, where it leads, whether it is the present one, how many rows it has."""

    label: str
    url: str
    current: bool = False
    count: int | None = None


class Facet(msgspec.Struct, frozen=True):
    """The values of one column, most frequent first."""

    name: str
    label: str
    links: list[Link]


class Bar(msgspec.Struct, frozen=True):
    """One day of the histogram, in the units of its viewBox."""

    x: float
    width: float
    height: float
    error_height: float
    title: str


class RequestsView(msgspec.Struct, frozen=True, kw_only=True):
    """The list as `view` of requests.html."""

    query: Query
    asked: Asked
    entries: list[LedgerEntry]
    more_url: str | None
    live_url: str | None
    """Where new rows come from; None where the list does not begin with the newest."""
    range_label: str | None
    """The days of a custom range in words, None for a preset one."""
    total: Any
    bars: list[Bar]
    first_day: str
    last_day: str
    facets: list[Facet]
    chips: list[Link]
    clear_url: str
    ranges: list[Link]
    files: list[Link]
    problem: str | None
    rebuilding: bool
    """True while the days of a new reporting zone are being summed: sums and bars are UTC's."""


@get("/requests")
async def list_requests(page: NamedDependency[Page]) -> Response[bytes]:
    """The list; htmx gets its results, or for `after` only the rows that follow."""
    query = Query("/requests", page.parameters(*PARAMETERS))
    asked = understand(query, page.now_us(), page.zone)
    database = page.services.database
    problem = asked.problem
    try:
        found = await reports.list_requests(
            database, asked.filter, limit=_PER_PAGE, after=asked.after, sort=asked.sort, descending=asked.descending
        )
    except ValueError as error:
        problem = str(error)
        found = reports.RequestPage(entries=[], next=None)
    more_url = query.url(after=found.next) if found.next else None
    if asked.after and wants_fragment(page.request):
        rows = RowsView(query=query, entries=found.entries, more_url=more_url)
        return await page.answer("request_rows.html", rows, title="Requests", block="rows")
    newest_first = asked.sort == "time" and asked.descending and not asked.after
    usage = await reports.usage_by(
        database, "day", since=asked.span.since, until=asked.span.until, zone=page.zone, f=asked.filter
    )
    view = RequestsView(
        query=query,
        asked=asked,
        entries=found.entries,
        more_url=more_url,
        live_url=query.url("/requests/live", live=None, at=str(page.now_us())) if newest_first else None,
        range_label=_range_label(asked.span),
        total=usage.total,
        bars=histogram(usage.rows),
        first_day=_day(usage.rows[0].group) if usage.rows else "",
        last_day=_day(usage.rows[-1].group) if usage.rows else "",
        facets=_facets(query, await reports.facets(database, asked.filter)),
        chips=_chips(query),
        clear_url=query.bare("range", "since", "until", "sort", "dir"),
        ranges=range_links(query.without("after")),
        files=[Link(kind, query.url(f"/requests.{kind.lower()}", **_NO_ORDER)) for kind in _FILES],
        problem=problem,
        rebuilding=usage.zone != page.zone,
    )
    return await page.answer("requests.html", view, title="Requests", block="results")


class RowsView(msgspec.Struct, frozen=True, kw_only=True):
    """More rows of the same list as `view` of request_rows.html."""

    query: Query
    entries: list[LedgerEntry]
    more_url: str | None


def range_links(query: Query) -> list[Link]:
    """The preset ranges as links; a custom range is none of them."""
    custom = "since" in query.values or "until" in query.values
    current = None if custom else query.get("range") or DEFAULT_RANGE
    names = {name: label for name, (label, _) in RANGES.items()} | {"all": "All"}
    return [
        Link(label, query.url(range=name, since=None, until=None), current=name == current)
        for name, label in names.items()
    ]


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%d %b %Y}".lstrip("0")


def _range_label(span: Span) -> str | None:
    if span.name != "custom" or not (span.since or span.until):
        return None
    first, last = (day and _day(day.isoformat()) for day in (span.since, span.until and span.until - timedelta(days=1)))
    if first and last:
        return first if first == last else f"{first} – {last}"
    return f"since {first}" if first else f"up to {last}"


def _chips(query: Query) -> list[Link]:
    chips = []
    for name in ("q", *FILTERS):
        value = query.get(name)
        if value is not None:
            label = _VALUES.get((name, value)) or f"{_LABELS.get(name, name.capitalize())}: {value}"
            chips.append(Link(label, query.url(**{name: None, "after": None})))
    return chips


def _facets(query: Query, counted: dict[str, list[tuple[str, int]]]) -> list[Facet]:
    facets = []
    for name in DIMENSIONS:
        chosen = query.get(name)
        links = [
            Link(
                _VALUES.get((name, value), value),
                query.url(**{name: None if value == chosen else value, "after": None}),
                value == chosen,
                number,
            )
            for value, number in counted.get(name, [])[:_FACET_VALUES]
        ]
        if len(links) > 1 or chosen:
            facets.append(Facet(name, _LABELS.get(name, name.capitalize()), links))
    return facets


def histogram(rows: list[Any]) -> list[Bar]:
    """Bars of requests by day, errors within them; none for a single day."""
    if len(rows) < 2:
        return []
    tallest = max(row.requests for row in rows) or 1
    step = _HISTOGRAM_WIDTH / len(rows)
    bars = []
    for number, row in enumerate(sorted(rows, key=lambda row: row.group)):
        height, errors = (_HISTOGRAM_HEIGHT * n / tallest for n in (row.requests, row.errors))
        title = f"{row.group}: {row.requests:,} requests, {row.errors:,} errors"
        bars.append(Bar(round(number * step, 1), round(max(step - 2, 1), 1), round(height, 1), round(errors, 1), title))
    return bars
