"""The embedded ledger: one SQLite file, one writing connection, a few reading ones."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import LedgerError
from app.ledger.damage import is_damage
from app.ledger.polite import apart
from app.ledger.schema import prepare_schema
from app.ledger.setting_aside import renew_lost, replace_damaged
from app.ledger.sqlite_files import NO_FILE, FileLock, file_id, make_private_file, url_of

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

BUSY_TIMEOUT_MS = 5000
CHECKPOINT_PAGES = 1000
_OPTIONS = {"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}


class SqliteEngines:
    """The connections to one file. `epoch` counts how often it had to be opened anew."""

    dialect = "sqlite"

    def __init__(self, path: Path, readers: int) -> None:
        self._most_readers = readers
        self.path: Path | None = path
        self.beside = path
        self.shown = f"SQLite {path}"
        self.epoch = 0
        self._file = path
        self._users = FileLock(path.with_name(path.name + ".lock"))
        self._checkpoints = FileLock(path.with_name(path.name + ".checkpoint-lock"))
        self._writer: sa.Engine
        self._readers: sa.Engine
        self.looker: AsyncEngine | None = None
        self._glancer: AsyncConnection | None = None
        self._inode = NO_FILE
        self._suspect = False

    async def open(self) -> None:
        """Create or migrate the file and connect. Raises LedgerError, OSError, sqlite3.Error."""
        if not self._users.take(shared=True, wait_s=2.0):
            raise LedgerError(f"{self._file} is being restored by another process; try again when that has ended")
        try:
            await self._connect()
        except BaseException:
            self._users.release()
            raise

    async def _connect(self) -> None:
        await prepare_schema(self._file)
        url = url_of(self._file)
        self._readers = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=self._most_readers,
            max_overflow=0,
            hide_parameters=True,
            connect_args=_OPTIONS,
        )
        _configure(self._readers, "BEGIN", "PRAGMA query_only=ON")
        self.looker = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            pool_size=2,
            max_overflow=0,
            hide_parameters=True,
            connect_args=_OPTIONS,
        )
        _configure(self.looker.sync_engine, "BEGIN", "PRAGMA query_only=ON")
        self._writer = sa.create_engine(url, poolclass=sa.StaticPool, hide_parameters=True, connect_args=_OPTIONS)
        _configure(self._writer, "BEGIN IMMEDIATE")
        self._inode = file_id(self._file)

    async def before_read(self) -> None:
        """A file that is gone is opened anew by the next write."""

    async def before_write(self) -> None:
        """Open the file anew when it was deleted or replaced: SQLite would go on and write into the deleted one."""
        if not self.is_gone:
            return
        lost = file_id(self._file) != self._inode
        await self._disconnect()
        if self._suspect and not lost:
            # By its inode nothing can be told any more: a new file may get the one that has just become free.
            lost = await apart(lambda: replace_damaged(self._file))
        elif lost:
            await apart(lambda: renew_lost(self._file))
        self._suspect = False
        self.epoch += lost
        # Should the next step fail, all of this is done again.
        self._inode = NO_FILE
        await asyncio.to_thread(make_private_file, self._file)
        await self._connect()

    @property
    def is_gone(self) -> bool:
        """True if the file was deleted, replaced or is suspected to be damaged."""
        return self._suspect or file_id(self._file) != self._inode

    def failed(self, error: BaseException) -> None:
        """Before the next write the file is looked through, if this error says that it is damaged."""
        if is_damage(error):
            self._suspect = True

    def write(self, work: Work[T]) -> T:
        """One transaction on the only writing connection. Runs in the writer's thread."""
        with self._writer.connect() as connection:
            # Only one process at a time moves the WAL into the file; whoever finds the duty free takes it over.
            if not self._checkpoints.held and self._checkpoints.take():
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            with connection.begin():
                return work(connection)

    def read(self, work: Work[T]) -> T:
        """One snapshot on a connection that cannot write. Runs in a reader's thread."""
        with self._readers.connect() as connection, connection.begin():
            return work(connection)

    def read_alone(self, work: Work[T]) -> T:
        """The same on a connection of its own, so that one who reads at length keeps no reader from a page."""
        engine = sa.create_engine(
            url_of(self._file), poolclass=sa.NullPool, hide_parameters=True, connect_args=_OPTIONS
        )
        _configure(engine, "BEGIN", "PRAGMA query_only=ON")
        with engine.connect() as connection, connection.begin():
            return work(connection)

    async def glance(self, query: str) -> Sequence[Any] | None:
        """What one small SELECT finds, in one hop to the driver's thread; None while the file is opened anew.

        Raises SQLAlchemyError.
        """
        looker = self.looker
        if looker is None:
            return None
        if self._glancer is None:
            glancer = await looker.connect()
            if self.looker is not looker:
                await glancer.invalidate()
                return None
            self._glancer = glancer
        driver: Any = (await self._glancer.get_raw_connection()).driver_connection
        try:
            found: Sequence[Any] = await driver.execute_fetchall(query)
        except sqlite3.Error as error:
            raise exc.OperationalError(query, None, error) from error
        return found

    async def _disconnect(self) -> None:
        self._readers.dispose()
        looker, self.looker = self.looker, None
        glancer, self._glancer = self._glancer, None
        if glancer is not None:
            await glancer.close()
        if looker is not None:
            await looker.dispose()
        await asyncio.to_thread(self._writer.dispose)
        self._checkpoints.release()

    async def close(self) -> None:
        """Close all connections and let the locks go."""
        await self._disconnect()
        self._users.release()


def _configure(engine: sa.Engine, begin: str, *pragmas: str) -> None:
    """Set up each connection of the engine, and how its transactions begin."""

    def connected(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
            "PRAGMA foreign_keys=ON",
            "PRAGMA synchronous=FULL",
            "PRAGMA wal_autocheckpoint=0",
            "PRAGMA cache_size=-8000",
            *pragmas,
        ):
            cursor.execute(pragma)
        cursor.close()

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
