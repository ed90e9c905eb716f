"""A damaged SQLite file is renamed to `.corrupt-TIME`, and a new one with its keys, users and settings takes its place.

Its requests come back from the spool's segments and, as far as they can be read, from the damaged file: see `care`.
What was saved and what was not stands in a report beside it, which the console and /health show until the file is
taken away.
"""

import contextlib
import logging
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from app.errors import LedgerError
from app.ledger.clock import now_us
from app.ledger.damage import find_damage
from app.ledger.essentials import Essentials, copy_of, joined, put_essentials, read_copy, salvage
from app.ledger.schema import MIGRATION_WAIT_S, NOT_BEGUN, create_tables
from app.ledger.sqlite_files import SIDE_SUFFIXES, FileLock, file_id, make_private_file, url_of
from app.ledger.tables import calendars

CORRUPT = ".corrupt-"
REPORT = ".report"

_log = logging.getLogger("lectr.ledger")


class SetAside(msgspec.Struct, kw_only=True):
    """One damaged file. `saved` counts rows by table; `incomplete` tables may have had more than was saved.

    `rows` requests were read from it, `gaps` spans of its time could not be; `searched` is True when that has ended.
    """

    file: str
    at_us: int
    reason: str
    saved: dict[str, int] = {}
    incomplete: list[str] = []
    rows: int = 0
    gaps: int = 0
    searched: bool = False

    def write(self, folder: Path) -> None:
        """Keep the report beside the file. Raises OSError."""
        path = folder / (self.file + REPORT)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with open(draft, "wb", opener=_private) as file:
            file.write(msgspec.json.encode(self))
        draft.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def set_aside_files(database: Path) -> list[SetAside]:
    """The damaged files that still lie beside this database, newest first. Never raises."""
    found = []
    try:
        names = sorted(path for path in database.parent.iterdir() if path.name.startswith(database.name + CORRUPT))
    except OSError:
        return []
    for path in names:
        if path.suffix != REPORT:
            continue
        with contextlib.suppress(OSError, msgspec.DecodeError):
            report = msgspec.json.decode(path.read_bytes(), type=SetAside)
            if (database.parent / report.file).exists():
                found.append(report)
    return sorted(found, key=lambda report: -report.at_us)


def replace_damaged(database: Path) -> bool:
    """Set the file aside if it is damaged indeed, and put a new one in its place; False if it turns out to be whole.

    No connection of this process may be open. Raises LedgerError, OSError, sqlite3.Error.
    """
    lock = FileLock(database.with_name(database.name + ".migrate-lock"))
    before = file_id(database)
    if not lock.take(wait_s=MIGRATION_WAIT_S):
        raise LedgerError(f"another process has been migrating {database} for two minutes; end it and start again")
    try:
        if file_id(database) != before:
            # Another process was faster.
            return True
        found = find_damage(database, thorough=True)
        if found is None:
            return False
        _replace(database, found)
        return True
    finally:
        lock.release()


def mend(database: Path, within_s: float) -> None:
    """Look through the file for so long, and replace it if damage is found. Raises LedgerError, OSError."""
    # Whatever keeps it from being looked at will say so when it is opened.
    with contextlib.suppress(sqlite3.Error):
        if database.stat().st_size and find_damage(database, within_s=within_s, tables=False):
            replace_damaged(database)


def renew_lost(database: Path) -> bool:
    """Where the file is gone and the copy of its small tables is not: make a new one from that. Raises as above."""
    if _is_there(database) or not copy_of(database).exists():
        return False
    lock = FileLock(database.with_name(database.name + ".migrate-lock"))
    if not lock.take(wait_s=MIGRATION_WAIT_S):
        return False
    try:
        if _is_there(database):
            return False
        for suffix in SIDE_SUFFIXES:
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        saved = _put_new(database, read_copy(database))
    finally:
        lock.release()
    _log.warning("the database was gone; a new one has what was kept of it: %s", _counts(saved))
    return True


def _is_there(database: Path) -> bool:
    """A file with something in it; what is in the WAL alone counts too."""
    files = (database, database.with_name(database.name + "-wal"))
    return any(file.exists() and file.stat().st_size for file in files)


def _replace(database: Path, reason: str) -> None:
    _merge_wal(database)
    salvaged = salvage(database)
    found = joined(salvaged, read_copy(database))
    moment = datetime.fromtimestamp(now_us() / 1e6, UTC)
    kept = database.with_name(f"{database.name}{CORRUPT}{moment:%Y%m%d-%H%M%S-%f}")
    # At no time is there no file: another process would make an empty one.
    os.link(database, kept)
    for suffix in SIDE_SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{database}{suffix}").replace(f"{kept}{suffix}")
    saved = _put_new(database, found)
    reason = " ".join(reason.split())[:300]
    report = SetAside(file=kept.name, at_us=now_us(), reason=reason, saved=saved, incomplete=salvaged.incomplete)
    report.write(database.parent)
    _log.error(
        "the database is damaged (%s): it is now %s, and a new one has %s%s",
        reason,
        kept.name,
        _counts(saved),
        f"; not all of {', '.join(salvaged.incomplete)} could be read there" if salvaged.incomplete else "",
    )


def _merge_wal(database: Path) -> None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database, timeout=5)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _put_new(database: Path, found: Essentials) -> dict[str, int]:
    """Make a ledger with these rows and move it into place; returns how many rows of each table it has."""
    fresh = database.with_name(f".{database.name}.new-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    make_private_file(fresh)
    try:
        create_tables(fresh)
        engine = sa.create_engine(url_of(fresh), poolclass=sa.NullPool, connect_args={"isolation_level": None})
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            saved = put_essentials(connection, found)
            zone = next(
                (row["value"] for row in found.get("team_values", ()) if row["name"] == "reporting_zone"), "UTC"
            )
            if zone != "UTC":
                connection.execute(calendars.insert(), {"id": 1, "zone": zone, "built_from_day": NOT_BEGUN})
        engine.dispose()
        with contextlib.closing(sqlite3.connect(fresh)) as ready:
            ready.execute("PRAGMA journal_mode=WAL")
        fresh.replace(database)
    except BaseException:
        for suffix in ("", *SIDE_SUFFIXES):
            Path(f"{fresh}{suffix}").unlink(missing_ok=True)
        raise
    return saved


def _counts(saved: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in saved.items()) or "nothing"
