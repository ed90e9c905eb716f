"""Long reads of the ledger, each on a connection of its own, so that the few readers stay free for pages."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from app.ledger.database import Database

T = TypeVar("T")


async def read_in_thread(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` on one snapshot of the data, in a thread, on a connection that cannot write. Raises LedgerError."""
    return await database.read_at_length(work)
