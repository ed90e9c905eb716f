"""`GET /health`: open, numbers only. 503 while the process drains, so that a load balancer turns away."""

from typing import Any

from app.services import Services


def health(services: Services, *, draining: bool) -> tuple[int, dict[str, Any]]:
    """Status and document. `degraded` means that traffic runs and something of ours needs a look."""
    ledger = services.ledger.counters
    counters = services.counters
    degraded = bool(ledger.lost or ledger.parked or ledger.last_error or counters.unexpected_errors)
    document: dict[str, Any] = {
        "status": "draining" if draining else "degraded" if degraded else "ok",
        "version": services.version,
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
    }
    if services.settings.demo:
        document["demo"] = True
    return (503 if draining else 200), document
