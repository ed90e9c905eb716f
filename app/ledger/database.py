"""The open ledger, whichever database keeps it.

Work is a plain function of a SQLAlchemy `Connection`: `await database.write(work)` runs it in one transaction of the
only writing connection, `await database.read(work)` in a snapshot. A write that has begun is never cut in half by a
cancelled caller. Writer and readers are threads of their own that run a whole transaction in one hop: a row alone took
4.2 ms through aiosqlite's hop per call and takes 0.7 ms this way, and what a report makes of its rows is no work for
the loop that serves programs. Keys, settings and sessions are looked up through aiosqlite, on a connection that no
report can keep busy.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import LectrError, LedgerAway, LedgerError
from app.ledger.background import Background
from app.ledger.damage import DamageFound, is_damage
from app.ledger.polite import politely
from app.ledger.postgres_url import is_postgres_url
from app.ledger.refusals import is_data_error, may_pass, reason_of
from app.ledger.setting_aside import mend, renew_lost, replace_damaged
from app.ledger.sqlite_engines import BUSY_TIMEOUT_MS, SqliteEngines
from app.ledger.sqlite_files import make_private_file, make_private_folder, path_of
from app.settings import Settings

__all__ = ["BUSY_TIMEOUT_MS", "Database", "is_data_error", "open_database"]

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

READERS = 4
WRITE_ATTEMPTS = 4


class Engines(Protocol):
    """The connections to one kind of database. `shown` names it for people, without its password."""

    dialect: str
    path: Path | None
    beside: Path
    shown: str
    epoch: int
    looker: AsyncEngine | None

    @property
    def is_gone(self) -> bool: ...
    async def open(self) -> None: ...
    async def before_read(self) -> None: ...
    async def before_write(self) -> None: ...
    async def glance(self, query: str, /) -> Sequence[Any] | None: ...
    def write(self, work: Work[T]) -> T: ...
    def read(self, work: Work[T]) -> T: ...
    def read_alone(self, work: Work[T]) -> T: ...
    def failed(self, error: BaseException) -> None: ...
    async def close(self) -> None: ...


class Database:
    """The open ledger."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.background = Background()
        """What brings rows back takes its steps here, so that programs go first."""
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = ThreadPoolExecutor(1, "ledger-writer")
        self._reading = ThreadPoolExecutor(READERS, "ledger-reader")

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engines.dialect

    @property
    def path(self) -> Path | None:
        """The SQLite file; None on a database server."""
        return self._engines.path

    @property
    def beside(self) -> Path:
        """Copies of the database's small tables have this name with a suffix: that of the file, if it is in one."""
        return self._engines.beside

    @property
    def shown(self) -> str:
        """Which database this is, for people; without its password."""
        return self._engines.shown

    @property
    def epoch(self) -> int:
        """How often the tables were found to be gone and were made anew."""
        return self._engines.epoch

    @property
    def file_is_gone(self) -> bool:
        """True if the file was deleted or replaced; the next write opens what stands there now."""
        return self._engines.is_gone

    def suspect(self, found: str) -> None:
        """A check has found damage: the next write looks again, and replaces a file that is damaged."""
        self._engines.failed(DamageFound(found))

    async def open(self) -> None:
        """Create or migrate the tables and connect. Raises LedgerError."""
        await self._engines.open()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction and return what it returns. Raises LedgerError when the database refuses.

        Only an error that waiting can mend is tried again, so `work` must not keep anything from a failed run.
        """
        for attempt in range(WRITE_ATTEMPTS):
            try:
                return await self.write_once(work)
            except (exc.SQLAlchemyError, LedgerAway) as error:
                if not may_pass(error):
                    raise LedgerError(f"the ledger refused a change: {reason_of(error)}") from error
                if attempt + 1 == WRITE_ATTEMPTS:
                    raise LedgerError(f"the ledger could not be written: {reason_of(error)}") from error
                await asyncio.sleep(0.1 * 2**attempt)
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
            await self._engines.before_write()
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Work[T]) -> T:
        try:
            return self._engines.write(work)
        except exc.SQLAlchemyError as error:
            self._engines.failed(error)
            raise

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one snapshot of the data, in a thread. Raises LedgerError when the database cannot be read."""
        try:
            await self._engines.before_read()
            return await asyncio.get_running_loop().run_in_executor(self._reading, self._snapshot, work)
        except exc.SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be read: {reason_of(error)}") from error

    def _snapshot(self, work: Work[T]) -> T:
        try:
            with politely():
                return self._engines.read(work)
        except exc.SQLAlchemyError as error:
            self._engines.failed(error)
            raise

    async def look(self, work: Work[T]) -> T:
        """As `read`, for what is small and must not wait behind pages: keys, settings, sessions. Raises LedgerError."""
        looker = self._engines.looker
        if looker is None:
            return await self.read(work)
        try:
            await self._engines.before_read()
            async with looker.connect() as connection, connection.begin():
                return await connection.run_sync(work)
        except exc.SQLAlchemyError as error:
            self._engines.failed(error)
            raise LedgerError(f"the ledger could not be read: {reason_of(error)}") from error

    async def glance(self, query: str) -> Sequence[Any]:
        """What one small SELECT finds, for who asks again and again: an eighth of `look`. Raises LedgerError."""
        try:
            await self._engines.before_read()
            found = await self._engines.glance(query)
        except exc.SQLAlchemyError as error:
            self._engines.failed(error)
            raise LedgerError(f"the ledger could not be read: {reason_of(error)}") from error
        return (
            found if found is not None else await self.read(lambda connection: connection.exec_driver_sql(query).all())
        )

    async def read_at_length(self, work: Work[T]) -> T:
        """As `read`, on a connection of its own, so that the few readers stay free for pages. Raises LedgerError."""

        def run() -> T:
            with politely():
                return self._engines.read_alone(work)

        try:
            await self._engines.before_read()
            return await asyncio.to_thread(run)
        except exc.SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be read: {reason_of(error)}") from error

    async def close(self) -> None:
        """Wait for writes that have begun, then close all connections."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await asyncio.to_thread(self._reading.shutdown)
        await self._engines.close()
        self._thread.shutdown(wait=False)


async def open_database(settings: Settings, *, mends: bool = False, look_s: float = 0.0) -> Database:
    """Open the ledger of these settings, creating folder and tables where they are missing.

    A server `mends`: a damaged SQLite file is set aside and replaced; `look_s` seconds are spent on finding out. A
    PostgreSQL that cannot be reached at present it looks for again at each use.
    Raises LedgerError with what to do when the folder cannot be used, the file is no ledger or belongs to a newer,
    incompatible version.
    """
    if is_postgres_url(settings.database_url):
        return await _open_server(settings, serves=mends)
    path = path_of(settings)
    try:
        await asyncio.to_thread(renew_lost, path)
        make_private_file(path)
        # The spool and what the box keeps for itself lie there, wherever the database is.
        make_private_folder(settings.data_dir.absolute())
        if look_s:
            await asyncio.to_thread(mend, path, look_s)
        try:
            return await open_file(path)
        except (LedgerError, sqlite3.Error, exc.SQLAlchemyError) as error:
            if not (mends and is_damage(error) and await asyncio.to_thread(replace_damaged, path)):
                raise
            return await open_file(path)
    except LectrError:
        raise
    except (OSError, sqlite3.Error, exc.SQLAlchemyError) as error:
        raise LedgerError(
            f"the ledger {path} cannot be opened ({_text(error)}); check that its folder exists, belongs to the user "
            "Lectr runs as and has free space, or set LECTR_DATA_DIR"
        ) from error


async def open_file(path: Path) -> Database:
    """Open the SQLite file that stands there. Raises LedgerError, OSError, sqlite3.Error."""
    database = Database(SqliteEngines(path, READERS))
    await database.open()
    return database


async def _open_server(settings: Settings, *, serves: bool) -> Database:
    # Imported late: who keeps the ledger in a file need not pay for what a server needs.
    from app.ledger.postgres_engines import PostgresEngines

    database = Database(PostgresEngines(settings.database_url, settings.data_dir))
    try:
        make_private_folder(settings.data_dir.absolute())
        await database.open()
    except LectrError as error:
        if not serves or not isinstance(error, LedgerAway):
            await database.close()
            raise
    except OSError as error:
        await database.close()
        raise LedgerError(
            f"the folder {settings.data_dir} cannot be used ({_text(error)}); it takes what the database has not yet "
            "got: set LECTR_DATA_DIR to one that belongs to the user Lectr runs as"
        ) from error
    except exc.SQLAlchemyError as error:
        await database.close()
        raise LedgerError(f"{database.shown} cannot be used: {reason_of(error)}") from error
    return database


def _text(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return reason_of(error) if isinstance(error, exc.SQLAlchemyError) else str(error)
