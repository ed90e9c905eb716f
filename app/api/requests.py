"""`GET /api/requests`: the ledger's rows, page by page or all at once."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from app.api import parameters
from app.api.failures import BadQuery, documented
from app.domain import Outcome
from app.ledger.export import RequestRow, csv_lines, json_lines, row_of
from app.ledger.reports import RequestFilter, get_request, list_requests, stream_requests
from app.services import Services

_FILTERS = ("key", "provider", "model", "feature", "task", "status", "outcome", "since", "until")
_NAMES = (*_FILTERS, "limit", "after", "format")


class RequestList(msgspec.Struct):
    """One page, newest first; `next` goes into `after` for the next one and is null on the last."""

    requests: list[RequestRow]
    next: str | None


@get(
    "/api/requests",
    responses={
        200: ResponseSpec(RequestList, description="One page, or the export that was asked for."),
        **documented(400),
    },
)
async def request_list(
    request: parameters.Query,
    services: NamedDependency[Services],
    key: FromQuery[str | None] = None,
    provider: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    feature: FromQuery[str | None] = None,
    task: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    outcome: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    limit: FromQuery[int] = 100,
    after: FromQuery[str | None] = None,
    format: FromQuery[str] = "json",
) -> Response[Any]:
    """Rows of the ledger, newest first; `format=ndjson` or `csv` streams all that match."""
    parameters.only(request, _NAMES)
    wanted = RequestFilter(
        key=key,
        provider=parameters.one_of("provider", provider, services.catalog.current.providers),
        model=model,
        feature=feature,
        task=task,
        status=parameters.status(status),
        outcome=parameters.one_of("outcome", outcome, Outcome),
        since_us=parameters.moment_us("since", since),
        until_us=parameters.moment_us("until", until),
    )
    parameters.in_order(wanted.since_us, wanted.until_us)
    length = parameters.limit(limit)
    if format in ("ndjson", "csv"):
        return _export(services, wanted, format)
    if format != "json":
        raise BadQuery(f"format is {format[:40]!r}; it may be json, ndjson or csv.")
    try:
        page = await list_requests(services.database, wanted, limit=length, after=after)
    except ValueError as error:
        raise BadQuery(str(error)) from None
    return Response(RequestList([row_of(entry) for entry in page.entries], page.next))


@get("/api/requests/{request_id:str}", responses=documented(400, 404))
async def request_row(
    request: parameters.Query, services: NamedDependency[Services], request_id: FromPath[str]
) -> RequestRow:
    """One row by its id."""
    parameters.only(request, ())
    return row_of(await get_request(services.database, request_id))


def _export(services: Services, wanted: RequestFilter, format: str) -> Response[Any]:
    entries = stream_requests(services.database, wanted)
    lines = csv_lines(entries) if format == "csv" else json_lines(entries)
    kind = "text/csv" if format == "csv" else "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="lectr-requests.{format}"'}
    return Stream(lines, media_type=kind, headers=headers)
