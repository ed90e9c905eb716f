"""`/api/self-check` and `/api/openapi.json`."""

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency

from app.api import parameters
from app.api.failures import documented
from app.services import Services


class SelfCheck(msgspec.Struct):
    """Whether every accepted request has its row: `accepted` = `written` + `waiting` + `parked` + `lost`."""

    status: str
    version: str
    requests_in_flight: int
    requests_without_valid_key: int
    unexpected_errors: int
    rows_accepted: int
    rows_written: int
    rows_waiting: int
    rows_oldest_waiting_s: float
    rows_parked: int
    rows_lost: int
    rows_unconfirmed: int
    price_list_date: str


@get("/api/self-check", sync_to_thread=False, responses=documented(400))
def self_check(request: parameters.Query, services: NamedDependency[Services]) -> SelfCheck:
    """The counters of this process since it started."""
    parameters.only(request, ())
    ledger, counters = services.ledger.counters, services.counters
    kept = not (ledger.lost or ledger.parked or ledger.last_error)
    return SelfCheck(
        status="ok" if kept and not counters.unexpected_errors else "degraded",
        version=services.version,
        requests_in_flight=counters.in_flight,
        requests_without_valid_key=counters.without_valid_key,
        unexpected_errors=counters.unexpected_errors,
        rows_accepted=ledger.accepted,
        rows_written=ledger.written,
        rows_waiting=ledger.waiting,
        rows_oldest_waiting_s=round(ledger.oldest_waiting_s, 3),
        rows_parked=ledger.parked,
        rows_lost=ledger.lost,
        rows_unconfirmed=counters.ledger_unconfirmed,
        price_list_date=services.catalog.current.listed_on.isoformat(),
    )


@get("/api/openapi.json", sync_to_thread=False, include_in_schema=False)
def openapi(request: Request[Any, Any, Any]) -> Response[Any]:
    """The admin API as an OpenAPI document."""
    parameters.only(request, ())
    return Response(request.app.openapi_schema.to_schema())
