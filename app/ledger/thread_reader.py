"""Long reads of the ledger, each on a connection of its own, so that the few readers stay free for pages."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from app.errors import LedgerError
from app.ledger.database import BUSY_TIMEOUT_MS, Database
from app.ledger.polite import politely

T = TypeVar("T")


async def read_in_thread(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` on one snapshot of the data, in a thread, on a connection that cannot write. Raises LedgerError."""

    def run() -> T:
        options = {"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000}
        engine = sa.create_engine(f"sqlite:///{database.path}", poolclass=sa.NullPool, connect_args=options)
        with politely(), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")
            connection.exec_driver_sql("BEGIN")
            try:
                return work(connection)
            finally:
                connection.exec_driver_sql("ROLLBACK")

    try:
        return await asyncio.to_thread(run)
    except exc.SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {getattr(error, 'orig', None) or error}") from error
