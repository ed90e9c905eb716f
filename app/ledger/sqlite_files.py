"""Where the SQLite file lies, who may read it, and which process holds it."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import sqlalchemy as sa

from app.errors import LedgerError
from app.settings import Settings

SIDE_SUFFIXES = ("-wal", "-shm")
NO_FILE = (0, 0)


def path_of(settings: Settings) -> Path:
    """The ledger's file: `lectr.db` in the data folder, or what a sqlite DATABASE_URL names. Raises LedgerError."""
    url = settings.database_url
    if not url:
        return (settings.data_dir / "lectr.db").absolute()
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] != "sqlite" or not rest.startswith("/") or rest.startswith("/:memory:"):
        # Without a scheme there is no telling which part of it is the password.
        begins = f"beginning with {scheme}://" if separator and scheme.isalnum() else "as it is"
        raise LedgerError(
            f"DATABASE_URL {begins} names no database that Lectr knows: write "
            "postgres://USER:PASSWORD@HOST:5432/DATABASE or sqlite:////absolute/path/lectr.db, or leave it empty"
        )
    return Path(rest[1:].partition("?")[0]).absolute()


def url_of(path: Path) -> sa.URL:
    """The URL of a file, whatever its name: as text, a `?` in it would name another file."""
    return sa.URL.create("sqlite", database=str(path))


def make_private_folder(folder: Path) -> None:
    """Make a folder that is its owner's alone (0700). Raises OSError."""
    existed = folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not existed:
        folder.chmod(0o700)
    elif folder != Path.cwd():
        # A mounted volume may belong to somebody else; what is in it is private all the same.
        with contextlib.suppress(PermissionError):
            folder.chmod(0o700)


def make_private_file(path: Path) -> None:
    """Make folder (0700) and file (0600); SQLite gives its side files the file's own mode. Raises OSError."""
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def file_id(path: Path) -> tuple[int, int]:
    """Device and inode of the file that stands there now; NO_FILE if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return NO_FILE
    return stat.st_dev, stat.st_ino


class FileLock:
    """A lock between processes that the kernel lets go when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """True while this object holds the lock."""
        return self._descriptor is not None

    def take(self, *, shared: bool = False, wait_s: float = 0.0) -> bool:
        """Take the lock, trying for `wait_s` seconds; False if somebody else holds it. Raises OSError."""
        deadline = time.monotonic() + wait_s
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.02)
            else:
                self._descriptor = descriptor
                return True

    def release(self) -> None:
        """Let the lock go; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
