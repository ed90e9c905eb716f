"""What the API's query parameters mean. Unknown ones are refused, since a misspelt filter would show too much."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from litestar import Request

from app.api.failures import BadQuery

Query = Request[Any, Any, Any]
MAX_LIMIT = 1000


def only(request: Query, names: Iterable[str]) -> None:
    """Raises BadQuery for a parameter that is not one of `names`, or that comes twice."""
    known = tuple(names)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            raise BadQuery(f"There is no parameter {name!r} here. There are: {', '.join(known)}.")
        if name in seen:
            raise BadQuery(f"{name} was given twice. Give it once.")
        seen.add(name)


def moment_us(name: str, text: str | None) -> int | None:
    """RFC 3339, or YYYY-MM-DD for its midnight in UTC, as microseconds."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuery(f"{name} is {text!r}; write it like 2026-11-22 or 2026-11-22T17:00:00Z.") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return int(parsed.timestamp()) * 1_000_000 + parsed.microsecond


def day(name: str, text: str | None) -> date | None:
    """A whole day; of an RFC 3339 time its date."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise BadQuery(f"{name} is {text!r}; write a day like 2026-11-22.") from None


def limit(value: int) -> int:
    """The length of a page."""
    if not 1 <= value <= MAX_LIMIT:
        raise BadQuery(f"limit is {value}; it may be 1 to {MAX_LIMIT}.")
    return value


def status(text: str | None) -> str | None:
    """A status code, a class such as 4xx, or none."""
    if text is None or text == "none" or (len(text) == 3 and text.isdigit()):
        return text
    if len(text) == 3 and text[0] in "12345" and text[1:].lower() == "xx":
        return text.lower()
    raise BadQuery(f"status is {text!r}; write a code such as 429, a class such as 4xx, or none.")
