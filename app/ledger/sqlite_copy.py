"""Consistent copies of a SQLite file while others write it."""

import contextlib
import os
import sqlite3
from pathlib import Path

from app.errors import LedgerError

BACKUPS = "backups"


def copy_file(source: Path, target: Path) -> None:
    """Copy the file as it is at this moment into a new one (0600), checked and synced.

    Raises LedgerError if the source is damaged, OSError, sqlite3.Error; then nothing is left behind.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        _copy(source, partial)
        partial.replace(target)
    except BaseException:
        for suffix in ("", "-journal"):
            with contextlib.suppress(OSError):
                Path(f"{partial}{suffix}").unlink()
        raise


def _copy(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(source, timeout=5)) as reading:
        reading.execute("PRAGMA query_only=ON")
        reading.execute("PRAGMA wal_autocheckpoint=0")
        with contextlib.closing(sqlite3.connect(target)) as writing:
            reading.backup(writing, pages=-1)
            writing.execute("PRAGMA journal_mode=DELETE")
            check_file(writing, source)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def check_file(connection: sqlite3.Connection, file: Path) -> None:
    """Raise LedgerError, naming `file`, if what is connected is damaged."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise LedgerError(f"{file} is damaged: {found[0] if found else 'no answer'}")


def back_up_before_migration(path: Path, revision: str) -> Path:
    """A copy in the folder's `backups` before the file goes to this revision. Raises LedgerError."""
    folder = path.parent / BACKUPS
    copy = folder / f"{path.stem}-before-{revision}.db"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        copy_file(path, copy)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(
            f"{path} is not brought to schema {revision}, because the copy that is made before could not be written to "
            f"{folder} ({getattr(error, 'strerror', None) or error}); give it room, then start again"
        ) from error
    return copy
