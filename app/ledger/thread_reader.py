"""Reads of the ledger that cost the interpreter time: in a thread of their own, so that the event loop goes on.

`Database.read` hops to the database and back, but runs what a work does with its rows on the loop.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from app.errors import LedgerError
from app.ledger.database import BUSY_TIMEOUT_MS, Database

T = TypeVar("T")
POLITE_SWITCH_S = 0.0005
"""How long such a thread may keep the interpreter from the loop; Python's own 5 ms is felt by every request."""

_lock = threading.Lock()
_polite_threads = 0
_usual_switch_s = sys.getswitchinterval()


@contextmanager
def _politely() -> Iterator[None]:
    """While any of these threads is at work, the interpreter changes hands ten times as often."""
    global _polite_threads, _usual_switch_s
    with _lock:
        if _polite_threads == 0:
            _usual_switch_s = sys.getswitchinterval()
            sys.setswitchinterval(POLITE_SWITCH_S)
        _polite_threads += 1
    try:
        yield
    finally:
        with _lock:
            _polite_threads -= 1
            if _polite_threads == 0:
                sys.setswitchinterval(_usual_switch_s)


async def read_in_thread(database: Database, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` on one snapshot of the data, in a thread, on a connection that cannot write. Raises LedgerError."""

    def run() -> T:
        options = {"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000}
        engine = sa.create_engine(f"sqlite:///{database.path}", poolclass=sa.NullPool, connect_args=options)
        with _politely(), engine.connect() as connection:
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
