"""/requests/live: rows as they come, for the list that is open in a browser (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream

from app.console import render
from app.console.links import Query
from app.console.page import Page
from app.console.request_query import PARAMETERS, understand
from app.console.requests import RowsView
from app.domain import LedgerEntry
from app.ledger import reports
from app.ledger.filters import RequestFilter
from app.ledger.polite import apart

_EVERY_S = 1.0
_AT_MOST = 50
_LIFE_S = 300
_LOOK_BACK_US = 120_000_000
"""A row appears when its request ends, under the time it began: that is how far back a look goes."""


@get("/requests/live")
async def follow_requests(page: NamedDependency[Page]) -> Stream:
    """New rows of the same query, newest first. Ends after five minutes: the browser comes back with its session."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(_events(page), media_type="text/event-stream", headers=headers)


async def _events(page: Page) -> AsyncIterator[bytes]:
    query = Query("/requests", page.parameters(*PARAMETERS)).without("after")
    wanted = understand(query, page.now_us(), page.zone).filter
    shown_at_us = _shown_at_us(page)
    seen = {entry.id for entry in await _newest(page, wanted) if entry.finished_at_us <= shown_at_us}
    drain = page.request.app.state.get("drain")
    yield b": here\n\n"
    for _ in range(int(_LIFE_S / _EVERY_S)):
        if drain is not None and drain.draining:
            return
        newest = await _newest(page, wanted)
        fresh = [entry for entry in newest if entry.id not in seen]
        seen = {entry.id for entry in newest} | {entry.id for entry in fresh}
        if fresh:
            # The browser says it again when it comes back, and so gets what it missed and nothing twice.
            last = max(entry.finished_at_us for entry in fresh)
            view = RowsView(query=query, entries=fresh, more_url=None)
            rows = await apart(partial(render.render, "request_rows.html", page.frame("Requests"), view, "rows"))
            lines = (b"data: %s\n" % line.encode() for line in rows.splitlines())
            yield b"id: %d\n%b\n" % (last, b"".join(lines))
        else:
            yield b": quiet\n\n"
        await asyncio.sleep(_EVERY_S)


def _shown_at_us(page: Page) -> int:
    """Up to when the browser has all rows: its last event, else the moment its page was made."""
    given = page.request.headers.get("last-event-id") or page.parameters("at").get("at", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else page.now_us()


async def _newest(page: Page, wanted: RequestFilter) -> list[LedgerEntry]:
    since_us = max(wanted.since_us or 0, page.now_us() - _LOOK_BACK_US)
    found = await reports.list_requests(
        page.services.database, msgspec.structs.replace(wanted, since_us=since_us), limit=_AT_MOST
    )
    return found.entries
