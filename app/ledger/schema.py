"""Brings a SQLite file to the schema this code speaks.

A new file gets its tables at once (a test holds them equal to what the migrations make); an older one is migrated
by Alembic in a child process, because Alembic costs 15 MiB that a server would keep. Which of the two, or neither,
is read from the version table with plain SQL. Processes that start together take turns.
"""

import asyncio
import contextlib
import re
import sqlite3
import sys
from pathlib import Path

import sqlalchemy as sa

from app.errors import LedgerError
from app.ledger.advice_tables import METADATA
from app.ledger.clock import now_us
from app.ledger.sqlite_copy import BACKUPS, back_up_before_migration
from app.ledger.sqlite_files import FileLock, url_of
from app.ledger.tables import calendars, changes, schema_info

REVISIONS = ("m0001", "m0002", "m0003")
"""Every revision this code knows, oldest first; the last one is what it speaks."""
HEAD = REVISIONS[-1]
MIGRATION_WAIT_S = 120.0
CHANGE_KINDS = ("keys", "team")
UTC_CALENDAR = 0
NOT_BEGUN = 2**31 - 1
"""`calendars.built_from_day` of a calendar of which no day is built yet."""
_ERROR_LINE = re.compile(r"^[A-Za-z_][\w.]*: .+$", re.MULTILINE)


async def prepare_schema(path: Path) -> None:
    """Create, migrate or accept the tables of the file. Raises LedgerError, OSError, sqlite3.Error."""
    if await asyncio.to_thread(_is_current, path):
        return
    lock = FileLock(path.with_name(path.name + ".migrate-lock"))
    if not await asyncio.to_thread(lock.take, wait_s=MIGRATION_WAIT_S):
        raise LedgerError(f"another process has been migrating {path} for two minutes; end it and start again")
    try:
        if await asyncio.to_thread(_is_current, path):
            return
        if await asyncio.to_thread(_is_empty, path):
            await asyncio.to_thread(create_tables, path)
        elif not await asyncio.to_thread(_is_known, path):
            await asyncio.to_thread(back_up_before_migration, path, HEAD)
            await _migrate(path)
        await asyncio.to_thread(_journal_mode, path, "=WAL")
    finally:
        lock.release()


def schema_version(path: Path) -> str | None:
    """The file's revision, None if it has none. Raises sqlite3.Error, LedgerError if the file is no database."""
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"{path} is damaged or no Lectr database ({error}); put a backup in its place with `lectr restore`, "
                "or move it away and Lectr starts with an empty one"
            ) from error
    return None if row is None else str(row[0])


def _is_current(path: Path) -> bool:
    return _is_known(path) and _journal_mode(path, "") == "wal"


def _journal_mode(path: Path, wanted: str) -> str:
    # Changing it does not wait for others as ordinary statements do, so it is done here, under the lock.
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        return str(connection.execute(f"PRAGMA journal_mode{wanted}").fetchone()[0])


def _is_known(path: Path) -> bool:
    version = schema_version(path)
    if version == HEAD:
        return True
    if version is None or version in REVISIONS:
        return False
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        row = connection.execute("SELECT value FROM schema_info WHERE name = 'oldest_code'").fetchone()
    if row is None or str(row[0]) not in REVISIONS:
        raise LedgerError(
            f"{path} was written by a newer Lectr (schema {version}) that this version ({HEAD}) cannot read; "
            f"install that version again, or put back the copy from before the upgrade: `lectr restore "
            f"{path.parent / BACKUPS}/{path.stem}-before-{version}.db`, which loses what was written since"
        )
    return True


def _is_empty(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def create_tables(path: Path) -> None:
    """Make all tables in an empty file and mark it as of this code's revision."""
    engine = sa.create_engine(url_of(path), poolclass=sa.NullPool, connect_args={"isolation_level": None, "timeout": 5})
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        METADATA.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
        add_first_rows(connection)
    engine.dispose()


def add_first_rows(connection: sa.Connection) -> None:
    """The few rows every ledger begins with."""
    connection.execute(schema_info.insert(), [{"name": "oldest_code", "value": REVISIONS[0]}])
    connection.execute(calendars.insert(), [{"id": UTC_CALENDAR, "zone": "UTC", "built_from_day": 0}])
    connection.execute(changes.insert(), [{"kind": kind, "generation": now_us()} for kind in CHANGE_KINDS])


async def _migrate(path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.ledger.migrate",
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await child.communicate()
    if child.returncode != 0:
        raise LedgerError(
            f"{path} could not be brought to schema {HEAD}: {reason_in(errors.decode('utf-8', 'replace'))}; "
            "the file is as it was before"
        )


def reason_in(errors: str) -> str:
    """The error in what a failed migration has printed, without the statement and advice that follow it."""
    named = _ERROR_LINE.findall(errors)
    return str(named[-1]) if named else "no reason given"
