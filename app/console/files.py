"""/requests.csv, .ndjson, .json: every request that the list with the same query is about, newest first, as a file."""

from litestar import get
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.response import Stream

from app.console.links import Query
from app.console.page import Page
from app.console.request_query import PARAMETERS, understand
from app.ledger import export, reports

_WRITERS = {
    "csv": (export.csv_lines, "text/csv"),
    "ndjson": (export.json_lines, "application/x-ndjson"),
    "json": (export.json_array, "application/json"),
}
_AT_ONCE = 250
"""Rows written in one go: some milliseconds in which nothing else runs."""


@get([f"/requests.{kind}" for kind in _WRITERS])
async def export_requests(page: NamedDependency[Page]) -> Stream:
    """The file, streamed. Unlike the page it gives nothing rather than more than what was asked for: 400."""
    asked = understand(Query("/requests", page.parameters(*PARAMETERS)), page.now_us(), page.zone)
    if asked.problem:
        raise ValidationException(asked.problem)
    kind = page.request.url.path.rpartition(".")[2]
    write, media_type = _WRITERS[kind]
    entries = reports.stream_requests(page.services.database, asked.filter, page=_AT_ONCE)
    headers = {"content-disposition": f'attachment; filename="lectr-requests.{kind}"', "cache-control": "no-store"}
    return Stream(write(entries), media_type=media_type, headers=headers)
