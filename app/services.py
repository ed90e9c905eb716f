"""What the HTTP layers work with: everything that create_app built, in one typed place.

Operations come as callables, so that console and API know neither the pipeline nor the way outwards.
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.catalog import CatalogHolder
from app.counters import Counters
from app.ledger.care import Caretaker
from app.ledger.database import Database
from app.ledger.keys import KeyStore
from app.ledger.sessions import SessionStore
from app.ledger.team import TeamStore
from app.ledger.users import UserStore
from app.ledger.writer import LedgerWriter
from app.operations.advice import AdviceReport
from app.operations.advice_desk import AdviceDesk, Card, Decided
from app.operations.advice_pricing import Priced as PricedRow
from app.operations.doctor import DOCTOR_KEY, DoctorReport
from app.operations.reprice import Reprice, RepriceReport
from app.settings import Settings

READERS_WAIT_S = 0.25

__all__ = ["DOCTOR_KEY", "AdviceReport", "Card", "Decided", "DoctorReport", "PricedRow", "RepriceReport", "Services"]


class Services(msgspec.Struct, kw_only=True):
    """One Lectr process. `clock` gives UTC microseconds."""

    settings: Settings
    catalog: CatalogHolder
    database: Database
    ledger: LedgerWriter
    care: Caretaker
    keys: KeyStore
    users: UserStore
    sessions: SessionStore
    team: TeamStore
    admin_token: str
    secret: bytes
    version: str
    counters: Counters
    doctor: Callable[[str], Awaitable[DoctorReport]]
    """Give a provider id; sends one tiny request with the box's own key. Raises NotFoundError."""
    plan_doctor: Callable[[str], DoctorReport]
    """What `doctor` would send and what that costs, without sending it."""
    advice: AdviceDesk
    """Advice on the recorded traffic, and what was decided about it."""
    reprice: Reprice
    backup: Callable[[Path | None], Awaitable[Path]]
    """Make a consistent copy; None = into the data folder's `backups`."""
    refresh_catalog: Callable[[], Awaitable[None]]
    """Build the catalog again after an override or price list has changed; the change feed calls it too."""
    clock: Callable[[], int] = lambda: time.time_ns() // 1000
    started_at_us: int = 0


async def see_all_rows(request: Any) -> None:
    """Before a page or an answer is made: rows handed over by now are to be in it, unless the database is slow."""
    services: Services = request.app.state.services
    await services.ledger.settle(READERS_WAIT_S)
