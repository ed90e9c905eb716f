"""Backup and restore of the ledger, and how full it is. For the command line and the self-check."""

import asyncio
import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from app.errors import LedgerError
from app.ledger.damage import is_damage
from app.ledger.database import Database, open_file
from app.ledger.postgres_url import is_postgres_url
from app.ledger.schema import schema_version
from app.ledger.sqlite_copy import check_file, copy_file
from app.ledger.sqlite_files import FileLock, make_private_file, path_of
from app.ledger.tables import groups, keys, ledger_parked, requests, rollup
from app.ledger.verify import verify_rollup
from app.settings import Settings

SIDE_FILES = ("", "-wal", "-shm")


class LedgerCounts(msgspec.Struct, frozen=True):
    """How many rows the tables hold and how large the file is, in bytes."""

    requests: int
    groups: int
    days_of_groups: int
    parked: int
    keys: int
    bytes: int


async def ledger_counts(database: Database) -> LedgerCounts:
    """Count everything; requests are taken from the daily sums. Raises LedgerError."""

    def work(connection: sa.Connection) -> list[int]:
        utc = rollup.c.calendar == 0
        total = connection.execute(sa.select(sa.func.sum(rollup.c.requests)).where(utc)).scalar()
        tables = (groups, rollup, ledger_parked, keys)
        counts = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables]
        return [int(total or 0), *counts]

    total, described, summed, parked, known = await database.read(work)
    return LedgerCounts(total, described, summed, parked, known, await database_bytes(database))


async def database_bytes(database: Database) -> int:
    """How much room the database takes. Raises LedgerError."""
    if database.path is not None:
        return await asyncio.to_thread(_size, database.path)
    query = "SELECT pg_database_size(current_database())"
    return await database.read(lambda connection: int(connection.exec_driver_sql(query).scalar_one()))


def _size(path: Path) -> int:
    size = 0
    for suffix in SIDE_FILES:
        with contextlib.suppress(OSError):
            size += Path(f"{path}{suffix}").stat().st_size
    return size


def last_backup_us(path: Path) -> int | None:
    """When the last backup of this file ended, wherever it went; None if none is known."""
    try:
        return int(_backup_mark(path).stat().st_mtime_ns // 1000)
    except OSError:
        return None


def _backup_mark(path: Path) -> Path:
    return path.with_name(path.name + ".backed-up")


async def is_empty(database: Database) -> bool:
    """True if the ledger holds no request at all."""
    query = sa.select(requests.c.id).limit(1)
    return await database.read(lambda connection: connection.execute(query).first() is None)


async def backup(database: Database, destination: Path) -> None:
    """Copy the ledger, as it is at this moment, into one new file (0600) while requests go on.

    Raises LedgerError if the destination exists or cannot be written; then nothing is left behind.
    """
    if database.path is None:
        raise LedgerError(
            f"the ledger is {database.shown}; PostgreSQL's own tool backs it up while requests go on: "
            'pg_dump --format=custom --file=lectr.dump "$DATABASE_URL"'
        )
    try:
        await asyncio.to_thread(_back_up, database.path, destination)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise LedgerError(f"the backup could not be written to {destination}: {reason}") from error


def _back_up(source: Path, destination: Path) -> None:
    if destination.exists():
        raise LedgerError(f"{destination} exists already; choose another name")
    copy_file(source, destination)
    with contextlib.suppress(OSError):
        os.close(os.open(_backup_mark(source), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.utime(_backup_mark(source))


async def restore(file: Path, settings: Settings) -> tuple[LedgerCounts, Path | None]:
    """Put a backup in the place of the ledger, after proving that it is whole; returns what it holds.

    What was there is kept beside it as `lectr.db.before-restore`, or with a number where an earlier restore has that
    name; it is returned too, None if nothing was there. Raises LedgerError, with everything as it was, if a server is
    running, or the file is no ledger, damaged, too new, or its sums are not those of its rows.
    """
    if is_postgres_url(settings.database_url):
        raise LedgerError(
            "DATABASE_URL names a PostgreSQL; its own tool restores it while Lectr is stopped: "
            f'pg_restore --clean --if-exists --no-owner --dbname="$DATABASE_URL" {file}. A SQLite file goes into an '
            "empty database with `lectr db copy`"
        )
    target = path_of(settings)
    lock = FileLock(target.with_name(target.name + ".lock"))
    try:
        await asyncio.to_thread(make_private_file, target)
        if not lock.take():
            raise LedgerError(f"{target} is in use; stop Lectr first, then restore")
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=target.parent) as folder:
            checked = Path(folder) / "lectr.db"
            try:
                counts = await _checked_copy(file, checked)
            except (LedgerError, exc.SQLAlchemyError) as error:
                raise LedgerError(_told(error, checked, file)) from error
            kept = await asyncio.to_thread(_replace, checked, target)
    except (OSError, sqlite3.Error) as error:
        # The system's own words, without the path that it puts behind them: that may be the copy's.
        raise LedgerError(f"{file} could not be restored: {getattr(error, 'strerror', None) or error}") from error
    finally:
        lock.release()
    return counts, kept


def _told(error: Exception, checked: Path, file: Path) -> str:
    """The error as one of the file that was named, not of the copy that was looked at."""
    if is_damage(error):
        return f"{file} is damaged or no Lectr ledger; nothing was changed"
    return str(getattr(error, "orig", None) or error).replace(str(checked), str(file))


async def _checked_copy(file: Path, copy: Path) -> LedgerCounts:
    def take() -> None:
        if not file.is_file():
            raise LedgerError(f"there is no file {file}")
        with file.open("rb") as source, open(copy, "xb", opener=_private) as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        if schema_version(copy) is None:
            raise LedgerError(f"{file} is no Lectr ledger")
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            check_file(connection, file)

    await asyncio.to_thread(take)
    database = await open_file(copy)
    try:
        wrong = await verify_rollup(database)
        if wrong:
            raise LedgerError(f"{file}: its daily sums differ from its rows: {wrong[0]}")
        return await ledger_counts(database)
    finally:
        await database.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _replace(checked: Path, target: Path) -> Path | None:
    kept = _free_name(target) if _size(target) else None
    if kept is not None:
        for suffix in SIDE_FILES:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{target}{suffix}").replace(f"{kept}{suffix}")
    checked.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return kept


def _free_name(target: Path) -> Path:
    """A name that no earlier restore has taken: what it kept may be all that is left of those rows."""
    kept = target.with_name(target.name + ".before-restore")
    numbers = itertools.count(2)
    while kept.exists():
        kept = target.with_name(f"{target.name}.before-restore-{next(numbers)}")
    return kept
