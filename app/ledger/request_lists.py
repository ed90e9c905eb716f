"""Lists of requests page by page, all of them as a stream, their number, and one request alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.errors import NotFoundError
from app.ledger.clock import DAY_US, id_bytes, id_floor, id_moment_us
from app.ledger.database import Database
from app.ledger.filters import RequestFilter, group_conditions, id_range, searched_id
from app.ledger.rows import ENTRY_SELECT, entry_of
from app.ledger.rows_since import rows_since_us
from app.ledger.schema import UTC_CALENDAR
from app.ledger.sums import read_total
from app.ledger.tables import requests
from app.ledger.time_order import IdRange, after_id, count_matches, ids_in_time_order
from app.ledger.value_order import Place, places_in_value_order

MAX_PAGE = 1000
SORTS = ("time", "cost", "duration")
_CURSOR = re.compile(r"(time|cost|duration)-(asc|desc)-(-?[0-9]{1,19})-([0-9a-f]{32})")
_FETCHED_AT_ONCE = 500


class RequestPage(msgspec.Struct):
    """One page and the cursor of the next, None on the last page."""

    entries: list[LedgerEntry]
    next: str | None


async def list_requests(
    database: Database,
    f: RequestFilter,
    *,
    limit: int = 100,
    after: str | None = None,
    sort: str = "time",
    descending: bool = True,
) -> RequestPage:
    """One page of at most 1,000 requests; `after` is the `next` of the page before.

    `sort` is `time`, `cost` or `duration`; equal ones stand in time order, a cost that is not known ranks below 0.
    Raises ValueError with a sentence for a filter, sort, limit or cursor that cannot be used.
    """
    if sort not in SORTS:
        raise ValueError(f"sort {sort[:40]!r}: write time, cost or duration")
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit {limit}: write a number from 1 to {MAX_PAGE}")
    place = None if after is None else _place(after, sort, descending)
    conditions = group_conditions(f)

    def work(connection: sa.Connection) -> RequestPage:
        places = _places(connection, f, conditions, place, limit + 1, sort, descending)
        entries = fetch_entries(connection, [raw for _, raw in places[:limit]])
        more = len(places) > limit
        return RequestPage(entries, _cursor(places[limit - 1], sort, descending) if more else None)

    return await database.read(work)


def _places(
    connection: sa.Connection,
    f: RequestFilter,
    conditions: list[Any],
    after: Place | None,
    limit: int,
    sort: str,
    descending: bool,
) -> list[Place]:
    span = _kept(connection, id_range(f))
    if sort != "time":
        return places_in_value_order(connection, conditions, span, after, limit, sort=sort, descending=descending)
    if after is not None:
        span = _beyond(span, after[1], descending)
    return [(0, raw) for raw in ids_in_time_order(connection, conditions, span, limit, descending)]


def _kept(connection: sa.Connection, span: IdRange) -> IdRange:
    # Before that the daily sums count rows that have been deleted.
    return max(span[0], id_floor(rows_since_us(connection))), span[1]


def _beyond(span: IdRange, raw: bytes, descending: bool) -> IdRange:
    return (span[0], min(span[1], raw)) if descending else (max(span[0], after_id(raw)), span[1])


def _cursor(place: Place, sort: str, descending: bool) -> str:
    return f"{sort}-{'desc' if descending else 'asc'}-{place[0]}-{place[1].hex()}"


def _place(cursor: str, sort: str, descending: bool) -> Place:
    match = _CURSOR.fullmatch(cursor)
    if match is None or abs(int(match[3])) >= 2**63:
        raise ValueError("this is no place in a list of requests; use the `next` of a page as it was given")
    if (match[1], match[2]) != (sort, "desc" if descending else "asc"):
        raise ValueError("this place belongs to another order; begin again with the first page")
    return int(match[3]), bytes.fromhex(match[4])


def fetch_entries(connection: sa.Connection, ids: list[bytes]) -> list[LedgerEntry]:
    """The rows with these ids, in this order."""
    found: dict[bytes, LedgerEntry] = {}
    for start in range(0, len(ids), _FETCHED_AT_ONCE):
        rows = connection.execute(ENTRY_SELECT.where(requests.c.id.in_(ids[start : start + _FETCHED_AT_ONCE])))
        found |= {bytes(row[0]): entry_of(row) for row in rows}
    return [found[raw] for raw in ids if raw in found]


async def get_request(database: Database, id: str) -> LedgerEntry:
    """The row with this id. Raises NotFoundError."""
    try:
        raw = id_bytes(id)
    except ValueError:
        raw = b""
    found = await database.read(lambda connection: fetch_entries(connection, [raw]))
    if not found:
        raise NotFoundError(f"there is no request {id[:60]!r}")
    return found[0]


async def neighbours(database: Database, id: str, f: RequestFilter) -> tuple[str | None, str | None]:
    """Ids of the next newer and the next older request that match. Raises NotFoundError for an id that is none."""
    try:
        raw = id_bytes(id)
    except ValueError:
        raise NotFoundError(f"there is no request {id[:60]!r}") from None
    conditions = group_conditions(f)
    # A search for an id names one request; its neighbours are those of the list without the search.
    span = id_range(f if searched_id(f) is None else msgspec.structs.replace(f, search=None))

    def work(connection: sa.Connection) -> tuple[str | None, str | None]:
        found: list[str | None] = []
        kept = _kept(connection, span)
        for descending in (False, True):
            ids = ids_in_time_order(connection, conditions, _beyond(kept, raw, descending), 1, descending)
            entries = fetch_entries(connection, ids)
            found.append(entries[0].id if entries else None)
        return found[0], found[1]

    return await database.read(work)


async def stream_requests(
    database: Database, f: RequestFilter, *, page: int = MAX_PAGE
) -> AsyncIterator[list[LedgerEntry]]:
    """All matching requests, newest first, in lists of at most `page`; memory does not grow with their number."""
    after: str | None = None
    while True:
        found = await list_requests(database, f, limit=page, after=after)
        if found.entries:
            yield found.entries
        after = found.next
        if after is None:
            return
        await asyncio.sleep(0)


async def count_requests(database: Database, f: RequestFilter, at_most: int = 10_000) -> int:
    """How many requests match, counted up to `at_most`: whole days from the daily sums, the rest row by row."""
    conditions = group_conditions(f)
    asked = id_range(f)

    def work(connection: sa.Connection) -> int:
        span = _kept(connection, asked)
        first = -(-id_moment_us(span[0]) // DAY_US)
        end = id_moment_us(span[1]) // DAY_US
        if searched_id(f) is not None or first >= end:
            return count_matches(connection, conditions, span, at_most)
        [counted] = read_total(connection, ("requests",), (UTC_CALENDAR, first, end - 1), f, conditions)
        for edge in ((span[0], id_floor(first * DAY_US)), (id_floor(end * DAY_US), span[1])):
            if counted < at_most and edge[0] < edge[1]:
                counted += count_matches(connection, conditions, edge, at_most)
        return min(counted, at_most)

    return await database.read(work)
