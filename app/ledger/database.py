"""Opens the ledger's database: one writing connection, a few reading ones.

Work is a plain function of a SQLAlchemy `Connection`: `await database.write(work)` runs it in one transaction of the
only writing connection, `await database.read(work)` in a snapshot. A write that has begun is never cut in half by a
cancelled caller. Writer and readers are threads of their own that run a whole transaction in one hop: a row alone took
4.2 ms through aiosqlite's hop per call and takes 0.7 ms this way, and what a report makes of its rows is no work for
the loop that serves programs.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection

from app.errors import LectrError, LedgerError
from app.ledger.polite import politely
from app.ledger.schema import prepare_schema
from app.ledger.sqlite_files import FileLock, make_private_file, path_of
from app.settings import Settings

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

BUSY_TIMEOUT_MS = 5000
READERS = 4
WRITE_ATTEMPTS = 4
CHECKPOINT_PAGES = 1000
_DATA_ERRORS = (
    exc.IntegrityError,
    exc.DataError,
    exc.InterfaceError,
    exc.ProgrammingError,
    OverflowError,
    ValueError,
    TypeError,
)


def is_data_error(error: BaseException) -> bool:
    """True if the same write would fail again whatever the state of disk and locks: the data itself is refused."""
    return isinstance(error, _DATA_ERRORS)


class Database:
    """The open ledger. `path` is the SQLite file, `epoch` counts how often the file had to be opened anew."""

    def __init__(self, path: Path) -> None:
        self.dialect = "sqlite"
        self.path: Path | None = path
        self.epoch = 0
        self._file = path
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._users = FileLock(path.with_name(path.name + ".lock"))
        self._checkpoints = FileLock(path.with_name(path.name + ".checkpoint-lock"))
        self._thread = ThreadPoolExecutor(1, "ledger-writer")
        self._reading = ThreadPoolExecutor(READERS, "ledger-reader")
        self._writer: sa.Engine
        self._readers: sa.Engine
        self._inode = (0, 0)

    async def open(self) -> None:
        """Create or migrate the file and connect. Raises LedgerError."""
        if not self._users.take(shared=True, wait_s=2.0):
            raise LedgerError(f"{self._file} is being restored by another process; try again when that has ended")
        try:
            await self._connect()
        except BaseException:
            self._users.release()
            raise

    async def _connect(self) -> None:
        await prepare_schema(self._file)
        url = sa.URL.create("sqlite", database=str(self._file))
        options = {"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
        self._readers = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=READERS,
            max_overflow=0,
            hide_parameters=True,
            connect_args=options,
        )
        _configure(self._readers, "BEGIN", "PRAGMA query_only=ON")
        self._writer = sa.create_engine(url, poolclass=sa.StaticPool, hide_parameters=True, connect_args=options)
        _configure(self._writer, "BEGIN IMMEDIATE")
        self._inode = _inode(self._file)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction and return what it returns. Raises LedgerError when the database refuses.

        Only an error that waiting can mend is tried again, so `work` must not keep anything from a failed run.
        """
        for attempt in range(WRITE_ATTEMPTS):
            try:
                return await self.write_once(work)
            except exc.OperationalError as error:
                if attempt + 1 == WRITE_ATTEMPTS:
                    raise LedgerError(f"the ledger could not be written: {error.orig}") from error
                await asyncio.sleep(0.1 * 2**attempt)
            except exc.SQLAlchemyError as error:
                raise LedgerError(f"the ledger refused a change: {_reason(error)}") from error
        raise AssertionError("the loop above returns or raises")

    async def write_once(self, work: Work[T]) -> T:
        """As `write`, but every error of the database comes through as it is, at the first attempt."""
        task = asyncio.ensure_future(self._write(work))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _write(self, work: Work[T]) -> T:
        async with self._writing:
            if _inode(self._file) != self._inode:
                await self._follow_file()
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Work[T]) -> T:
        with self._writer.connect() as connection:
            # Only one process at a time moves the WAL into the file; whoever finds the duty free takes it over.
            if not self._checkpoints.held and self._checkpoints.take():
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            with connection.begin():
                return work(connection)

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one snapshot of the data, in a thread. Raises LedgerError when the database cannot be read."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, self._snapshot, work)
        except exc.SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be read: {_reason(error)}") from error

    def _snapshot(self, work: Work[T]) -> T:
        with politely(), self._readers.connect() as connection, connection.begin():
            return work(connection)

    @property
    def file_is_gone(self) -> bool:
        """True if the file was deleted or replaced; the next write opens what stands there now."""
        return _inode(self._file) != self._inode

    async def _follow_file(self) -> None:
        """Open the file anew when it was deleted or replaced: SQLite would go on and write into the deleted one."""
        await self._disconnect()
        self.epoch += 1
        await asyncio.to_thread(make_private_file, self._file)
        await self._connect()

    async def _disconnect(self) -> None:
        self._readers.dispose()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.dispose)
        self._checkpoints.release()

    async def close(self) -> None:
        """Wait for writes that have begun, then close all connections."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await asyncio.to_thread(self._reading.shutdown)
        await self._disconnect()
        self._thread.shutdown(wait=False)
        self._users.release()


def _inode(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_dev, stat.st_ino


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


def _reason(error: exc.SQLAlchemyError) -> str:
    """What went wrong, without the statement's values."""
    return str(getattr(error, "orig", None) or type(error).__name__)


async def open_database(settings: Settings) -> Database:
    """Open the ledger of these settings, creating folder and tables where they are missing.

    Raises LedgerError with what to do when the folder cannot be used, the file is no ledger or belongs to a newer,
    incompatible version.
    """
    path = path_of(settings)
    try:
        make_private_file(path)
        database = Database(path)
        await database.open()
    except LectrError:
        raise
    except (OSError, sqlite3.Error, exc.SQLAlchemyError) as error:
        raise LedgerError(
            f"the ledger {path} cannot be opened ({_text(error)}); check that its folder exists, belongs to the user "
            "Lectr runs as and has free space, or set LECTR_DATA_DIR"
        ) from error
    return database


def _text(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return _reason(error) if isinstance(error, exc.SQLAlchemyError) else str(error)
