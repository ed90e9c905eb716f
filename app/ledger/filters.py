"""What a report asks for, as conditions on `groups` and as bounds of ids."""

from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.clock import id_bytes, id_floor
from app.ledger.storable import storable
from app.ledger.tables import PRICED, UNPRICED, groups

UNTAGGED = "untagged"
FACETS = ("provider", "model", "feature", "task", "key", "status", "priced", "streamed")
GROUP_FIELDS = (*FACETS, "outcome", "endpoint", "failed")


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests; None asks for nothing.

    `model` is the model asked for, `feature` and `task` take `untagged` for none, `status` a code, a class such as
    `4xx`, or `none` where no status was sent. `priced` True: billable with a cost, False: billable without.
    `failed` True: those that reports count as errors.
    `since_us` is inclusive, `until_us` exclusive, both in whole milliseconds. `search` is the beginning of a model,
    feature, task or key in any case, or a whole request id, which is then found at any time.
    """

    key: str | None = None
    provider: str | None = None
    model: str | None = None
    feature: str | None = None
    task: str | None = None
    status: str | None = None
    outcome: str | None = None
    endpoint: str | None = None
    priced: bool | None = None
    streamed: bool | None = None
    failed: bool | None = None
    since_us: int | None = None
    until_us: int | None = None
    search: str | None = None


def searched_id(f: RequestFilter) -> bytes | None:
    """The request id that is searched for, if the search is one."""
    if not f.search or len(f.search.strip()) not in (32, 36):
        return None
    try:
        return id_bytes(f.search.strip())
    except ValueError:
        return None


def id_range(f: RequestFilter) -> tuple[bytes, bytes]:
    """First id that counts, and the first that does not any more."""
    wanted = searched_id(f)
    if wanted is not None:
        return wanted, (int.from_bytes(wanted) + 1).to_bytes(17)[-16:] if wanted != b"\xff" * 16 else wanted
    low = bytes(16) if f.since_us is None else id_floor(f.since_us)
    high = b"\xff" * 16 if f.until_us is None else id_floor(f.until_us)
    return low, high


def status_condition(value: str) -> sa.ColumnElement[bool]:
    """Condition on `groups.status`. Raises ValueError with a sentence."""
    text = value.strip().lower()
    if text == "none":
        return groups.c.status.is_(None)
    if len(text) == 3 and text[0].isdecimal() and text.isascii():
        first = int(text[0]) * 100
        if text[1:] == "xx":
            return groups.c.status.between(first, first + 99)
        if text.isdecimal():
            return groups.c.status == int(text)
    raise ValueError(f"status {value[:40]!r}: write a code such as 404, a class such as 4xx, or none")


def _like(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text + "%"


def _search(text: str) -> sa.ColumnElement[bool]:
    pattern = _like(storable(text.strip(), 200))
    columns = (groups.c.model, groups.c.feature, groups.c.task, groups.c.key)
    return sa.or_(*(column.ilike(pattern, escape="\\") for column in columns))


def condition_on(f: RequestFilter, name: str) -> Any:
    """The condition on `groups` that one field of the filter sets, None if it sets none. Raises ValueError."""
    value = getattr(f, name)
    if value is None:
        return None
    if name == "status":
        return status_condition(value)
    if name == "priced":
        return groups.c.priced == (PRICED if value else UNPRICED)
    if name in ("streamed", "failed"):
        return groups.c[name] == int(value)
    if value == UNTAGGED and name in ("feature", "task"):
        return groups.c[name].is_(None)
    return groups.c[name] == storable(value, 200)


def search_condition(f: RequestFilter) -> Any:
    """The condition on `groups` that the search sets, None if there is none or it is a request id."""
    if not f.search or not f.search.strip() or searched_id(f) is not None:
        return None
    return _search(f.search)


def group_conditions(f: RequestFilter) -> list[Any]:
    """All conditions on `groups` this filter sets. Raises ValueError with a sentence."""
    found = [condition_on(f, name) for name in GROUP_FIELDS]
    found.append(search_condition(f))
    return [condition for condition in found if condition is not None]
