"""`/api/self-check` and `/api/openapi.json`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, get
from litestar.di import NamedDependency

from app.api import parameters
from app.api.failures import documented
from app.ledger.polite import politely
from app.ledger.troubles import troubles
from app.services import Services


class SelfCheck(msgspec.Struct):
    """Whether every accepted request has its row: `accepted` = `written` + `waiting` + `parked` + `lost`.

    `spool_requests` have records in the spool and no row yet, requests in flight included. `replaying` to `interrupted`
    count what other, ended processes left in the spool. `damaged` records could not be read; `unread` ones are of
    another version and stay in the spool until one comes that can read them. `overhead_…` is Lectr's own part of the
    last 10,000 requests that reached a provider. `troubles` are the codes of what is wrong now, `notes` the same in
    words. `database_checked_at` is when the file was last looked through for damage, `last_backup_at` when a backup of
    it last ended; null: not since the start, or never.
    """

    status: str
    troubles: list[str]
    notes: list[str]
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
    rows_replaying: int
    rows_replayed: int
    rows_interrupted: int
    spool_requests: int
    spool_unwritten: int
    spool_damaged: int
    spool_unread: int
    spool_error: str
    overhead_p50_us: int | None
    overhead_p95_us: int | None
    overhead_p99_us: int | None
    database: str
    database_bytes: int | None
    database_checked_at: str | None
    last_backup_at: str | None
    price_list_date: str


@get("/api/self-check", sync_to_thread=False, responses=documented(400))
def self_check(request: parameters.Query, services: NamedDependency[Services]) -> SelfCheck:
    """The counters of this process since it started."""
    parameters.only(request, ())
    ledger, counters = services.ledger.counters, services.counters
    p50, p95, p99 = counters.overhead_quantiles_us() or (None, None, None)
    care = services.care.figures
    found = troubles(ledger, care)
    degraded = any(trouble.grave for trouble in found) or counters.unexpected_errors
    return SelfCheck(
        status="degraded" if degraded else "ok",
        troubles=[trouble.code for trouble in found],
        notes=[trouble.sentence for trouble in found],
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
        rows_replaying=ledger.replaying,
        rows_replayed=ledger.replayed,
        rows_interrupted=ledger.interrupted,
        spool_requests=ledger.spool_requests,
        spool_unwritten=ledger.spool_unwritten,
        spool_damaged=ledger.spool_damaged,
        spool_unread=ledger.spool_unread,
        spool_error=ledger.spool_error,
        overhead_p50_us=p50,
        overhead_p95_us=p95,
        overhead_p99_us=p99,
        database=care.database,
        database_bytes=care.bytes,
        database_checked_at=_moment(care.checked_at_us),
        last_backup_at=_moment(care.backup_at_us),
        price_list_date=services.catalog.current.listed_on.isoformat(),
    )


def _moment(at_us: int | None) -> str | None:
    return None if at_us is None else f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


@get("/api/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> Response[Any]:
    """The admin API as an OpenAPI document."""
    parameters.only(request, ())

    def made() -> dict[str, Any]:
        with politely():
            return request.app.openapi_schema.to_schema()

    # Made when it is first asked for: 0.2 s that no program may wait.
    return Response(await to_thread.run_sync(made))
