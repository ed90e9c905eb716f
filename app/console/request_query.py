"""The query of the requests list: what its parameters mean, and the chips that say so."""

from datetime import date, timedelta

import msgspec

from app.console import times
from app.console.links import Query
from app.ledger.filters import RequestFilter, status_condition

DIMENSIONS = ("provider", "model", "feature", "task", "key", "status", "priced", "streamed")
"""The facets, in the order they are shown."""
FILTERS = (*DIMENSIONS, "outcome", "endpoint", "failed")
PARAMETERS = ("q", "range", "since", "until", *FILTERS, "sort", "dir", "live", "after")
RANGES = {"today": ("Today", 1), "7d": ("7 days", 7), "30d": ("30 days", 30), "90d": ("90 days", 90)}
DEFAULT_RANGE = "7d"
SORTS = ("time", "cost", "duration")
_FLAGS = {"true": True, "false": False}
_FLAG_NAMES = ("priced", "streamed", "failed")


class Span(msgspec.Struct, frozen=True):
    """Whole days in the reporting zone; `until` is exclusive, None = open."""

    name: str
    since: date | None
    until: date | None


class Asked(msgspec.Struct, frozen=True):
    """A query understood: the filter for the ledger, its days, and how to sort."""

    query: Query
    filter: RequestFilter
    span: Span
    sort: str
    descending: bool
    after: str | None
    problem: str | None


def understand(query: Query, now_us: int, zone: str) -> Asked:
    """What a query asks for. What cannot be understood is left out and said in `problem`."""
    values = query.values
    problems: list[str] = []
    span = _span(values, times.today(now_us, zone), problems)
    flags: dict[str, bool | None] = {}
    for name in _FLAG_NAMES:
        flags[name] = _FLAGS.get(values.get(name, ""))
        if name in values and flags[name] is None:
            problems.append(f"{name} is true or false.")
    status = values.get("status")
    try:
        if status is not None:
            status_condition(status)
    except ValueError as error:
        problems.append(f"{error}.")
        status = None
    sort = values.get("sort", "time")
    if sort not in SORTS:
        problems.append("Sort by time, cost or duration.")
        sort = "time"
    names = [name for name in FILTERS if name not in (*_FLAG_NAMES, "status")]
    return Asked(
        query=query,
        filter=RequestFilter(
            **{name: values.get(name) for name in names},
            status=status,
            priced=flags["priced"],
            streamed=flags["streamed"],
            failed=flags["failed"],
            since_us=times.day_starts_us(span.since, zone) if span.since else None,
            until_us=times.day_starts_us(span.until, zone) if span.until else None,
            search=values.get("q"),
        ),
        span=span,
        sort=sort,
        descending=values.get("dir", "desc") != "asc",
        after=values.get("after"),
        problem=" ".join(problems) or None,
    )


def _span(values: dict[str, str], today: date, problems: list[str]) -> Span:
    if "since" in values or "until" in values:
        since, until = (_day(values.get(name), problems) for name in ("since", "until"))
        if since and until and since >= until:
            problems.append("The range ends before it begins.")
            return Span("custom", None, None)
        return Span("custom", since, until)
    name = values.get("range", DEFAULT_RANGE)
    if name == "all":
        return Span(name, None, None)
    if name not in RANGES:
        problems.append("The range is today, 7d, 30d, 90d or all.")
        name = DEFAULT_RANGE
    return preset(name, today)


def preset(name: str, today: date) -> Span:
    """The days of a preset range, today included."""
    return Span(name, today - timedelta(days=RANGES[name][1] - 1), today + timedelta(days=1))


def _day(text: str | None, problems: list[str]) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(f"{text[:20]!r} is no day: write it as 2026-11-22.")
        return None
