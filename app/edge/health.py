"""`GET /health`: open; numbers, and codes for what is wrong. 503 while draining, so that load balancers turn away."""

from typing import Any

from app.ledger.troubles import troubles
from app.services import Services


def health(services: Services, *, draining: bool) -> tuple[int, dict[str, Any]]:
    """Status and document. `degraded` means that traffic runs and something of ours needs a look."""
    ledger = services.ledger.counters
    counters = services.counters
    found = troubles(ledger, services.care.figures)
    degraded = any(trouble.grave for trouble in found) or bool(counters.unexpected_errors)
    document: dict[str, Any] = {
        "status": "draining" if draining else "degraded" if degraded else "ok",
        "troubles": [trouble.code for trouble in found],
        "version": services.version,
        "database": services.database.dialect,
        "uptime_s": max(0, services.clock() - services.started_at_us) // 1_000_000,
        "in_flight": counters.in_flight,
        "requests_without_valid_key": counters.without_valid_key,
        "unexpected_errors": counters.unexpected_errors,
        "ledger_accepted": ledger.accepted,
        "ledger_written": ledger.written,
        "ledger_waiting": ledger.waiting,
        "ledger_oldest_waiting_s": round(ledger.oldest_waiting_s, 3),
        "ledger_parked": ledger.parked,
        "ledger_lost": ledger.lost,
        "ledger_unconfirmed": counters.ledger_unconfirmed,
        "ledger_replaying": ledger.replaying,
        "ledger_replayed": ledger.replayed,
        "ledger_interrupted": ledger.interrupted,
        "spool_requests": ledger.spool_requests,
        "spool_unwritten": ledger.spool_unwritten,
        "spool_damaged": ledger.spool_damaged,
        "spool_unread": ledger.spool_unread,
    }
    if services.settings.demo:
        document["demo"] = True
    return (503 if draining else 200), document
