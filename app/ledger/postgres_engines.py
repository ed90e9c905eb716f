"""The ledger on PostgreSQL: one connection that writes, a few that read, and tables that may come later or again."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import LedgerAway
from app.ledger.postgres_line import Line
from app.ledger.postgres_schema import prepare_schema
from app.ledger.postgres_url import name_beside, read_postgres_url

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

AGAIN_AFTER_S = 0.5
"""How long a server that could not be reached is taken to be away without asking it again."""
_TABLES_GONE = ("42P01", "3F000", "3D000")


class PostgresEngines:
    """The connections to one database. Raises LedgerError from the start for a URL that cannot be read.

    Its tables are made or migrated when it is first reached, which may be long after the start.
    """

    dialect = "postgresql"
    path: Path | None = None
    is_gone = False
    looker: AsyncEngine | None = None
    """Connections to a server are dear: what looks shares those of the readers."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._target = read_postgres_url(url)
        self.shown = self._target.shown
        self.beside = name_beside(self._target, folder)
        self.epoch = 0
        self._ready = self._was_ready = False
        self._preparing = asyncio.Lock()
        self._failure: tuple[float, LedgerAway] | None = None
        self._writer = Line(self._target, writes=True)
        self._local = threading.local()
        self._readers: list[Line] = []

    async def open(self) -> None:
        """Reach the server and make its tables. Raises LedgerAway, LedgerError, SQLAlchemyError."""
        async with self._preparing:
            if self._ready:
                return
            if self._failure is not None and time.monotonic() - self._failure[0] < AGAIN_AFTER_S:
                raise self._failure[1]
            try:
                made = await asyncio.to_thread(prepare_schema, self._target, self._url)
            except LedgerAway as error:
                self._failure = time.monotonic(), error
                raise
            self.epoch += made and self._was_ready
            self._ready = self._was_ready = True

    async def before_read(self) -> None:
        """Make the tables, if the server was not reached yet."""
        if not self._ready:
            await self.open()

    async def before_write(self) -> None:
        """The same."""
        if not self._ready:
            await self.open()

    async def glance(self, _query: str) -> None:
        """None: a read costs no more."""

    def write(self, work: Work[T]) -> T:
        """One transaction on the only writing connection. Runs in the writer's thread."""
        return self._writer.run(work)

    def read(self, work: Work[T]) -> T:
        """One snapshot on this thread's connection, which cannot write."""
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = Line(self._target, writes=False)
            self._readers.append(line)
        return line.run(work)

    def read_alone(self, work: Work[T]) -> T:
        """The same on a connection of its own, so that one who reads at length keeps no reader from a page."""
        line = Line(self._target, writes=False)
        try:
            return line.run(work)
        finally:
            line.close()

    def failed(self, error: BaseException) -> None:
        """Where tables are gone, they are to be made anew: the database was dropped, or its content was."""
        if getattr(getattr(error, "orig", None), "sqlstate", None) in _TABLES_GONE:
            self._ready = False

    async def close(self) -> None:
        """Close all connections; no thread may be reading or writing any more."""
        for line in (self._writer, *self._readers):
            await asyncio.to_thread(line.close)
