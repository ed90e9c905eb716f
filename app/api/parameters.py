"""What the API's query parameters mean. Unknown ones are refused, since a misspelt filter would show too much."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Request

from app.api.failures import BadQuery

Query = Request[Any, Any, Any]
MAX_LIMIT = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = _EPOCH.date()
_LAST_YEAR = 9999
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+ -]\d{2}:\d{2})?)?", re.ASCII)
_STATUS = re.compile(r"none|[1-9][0-9]{2}|[1-5][xX]{2}")


def only(request: Query, names: Iterable[str]) -> None:
    """Raises BadQuery for a parameter that is not one of `names`, or that comes twice."""
    known = tuple(names)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise BadQuery(f"There is no parameter {name[:40]!r} here. {_named(known)}")
        if name in seen:
            raise BadQuery(f"{name} was given twice. Give it once.")
        seen.add(name)


def _named(known: tuple[str, ...]) -> str:
    return f"There are: {', '.join(known)}." if known else "There are none."


def moment_us(name: str, text: str | None) -> int | None:
    """RFC 3339, or YYYY-MM-DD for its midnight in UTC, as microseconds."""
    if text is None:
        return None
    parsed = _moment(name, text)
    return (parsed.replace(tzinfo=parsed.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def day(name: str, text: str | None, zone: str) -> date | None:
    """A whole day of `zone`: YYYY-MM-DD, or the one in which an RFC 3339 time lies."""
    if text is None:
        return None
    parsed = _moment(name, text)
    if parsed.tzinfo is not None and parsed.date() > _FIRST_DAY and parsed.year < _LAST_YEAR:
        parsed = parsed.astimezone(ZoneInfo(zone))
    # No row is older, and the days before the calendar's first cannot be counted.
    return max(parsed.date(), _FIRST_DAY)


def _moment(name: str, text: str) -> datetime:
    """A date or RFC 3339 time; a plus sign that a URL made a space is one again. Without an offset it is naive."""
    try:
        if _MOMENT.fullmatch(text) is None:
            raise ValueError
        return datetime.fromisoformat(text.upper().replace(" ", "+"))
    except ValueError:
        told = f"{name} is {text[:40]!r}; write it like 2026-11-22 or 2026-11-22T17:00:00Z."
        raise BadQuery(told) from None


def limit(value: int) -> int:
    """The length of a page."""
    if not 1 <= value <= MAX_LIMIT:
        raise BadQuery(f"limit is {value}; it may be 1 to {MAX_LIMIT}.")
    return value


def status(text: str | None) -> str | None:
    """A status code, a class such as 4xx, or none."""
    if text is None or _STATUS.fullmatch(text) is not None:
        return text
    raise BadQuery(f"status is {text[:40]!r}; write a code such as 429, a class such as 4xx, or none.")


def one_of(name: str, text: str | None, known: Iterable[str]) -> str | None:
    """One of the values there are: a misspelt one would find nothing and say nothing."""
    values = tuple(known)
    if text is None or text in values:
        return text
    raise BadQuery(f"{name} is {text[:40]!r}; it may be {', '.join(values)}.")


def in_order(since: Any, until: Any) -> None:
    """Raises BadQuery where a time begins after its end. Equal ends are an empty time, since `until` is exclusive."""
    if since is not None and until is not None and since > until:
        raise BadQuery("since is later than until, so nothing lies between; write the earlier one as since.")
