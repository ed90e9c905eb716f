"""What can befall a database under load: each is a context in which it holds."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.faults.processes import Gateway

Fault = Callable[[Gateway, float], AbstractContextManager[None]]
PAGE = 4096
FOUND_WITHIN_S = 30.0


def file_of(gateway: Gateway) -> Path:
    """The SQLite file."""
    return gateway.data_dir / "lectr.db"


@contextlib.contextmanager
def locked(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """Another process holds the database."""
    other = sqlite3.connect(file_of(gateway), isolation_level=None, timeout=30)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextlib.contextmanager
def deleted(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """The database's files are gone."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file_of(gateway)}{suffix}").unlink(missing_ok=True)
    yield


@contextlib.contextmanager
def replaced(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """An older copy stands where the database was."""
    copy = gateway.data_dir / "copy.db"
    with (
        contextlib.closing(sqlite3.connect(file_of(gateway))) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    time.sleep(0.5)
    for suffix in ("-wal", "-shm"):
        Path(f"{file_of(gateway)}{suffix}").unlink(missing_ok=True)
    copy.replace(file_of(gateway))
    yield


@contextlib.contextmanager
def read_only(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """Nobody may write the database's files. Needs the right to use chattr."""
    files = [path for suffix in ("", "-wal") if (path := Path(f"{file_of(gateway)}{suffix}")).exists()]
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextlib.contextmanager
def full(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """The disk of database and spool has no room left. Needs a data folder on a disk of its own (see small_disk)."""
    ballast = gateway.data_dir / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
            file.flush()
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk of its own at `folder`. Raises CalledProcessError where mounting is not allowed."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def may_mount() -> bool:
    """True where this user may mount disks and set the flags of files."""
    return os.geteuid() == 0 and all(map(shutil.which, ("mount", "umount", "chattr")))


def spoil(path: Path, draw: random.Random) -> int:
    """Write 4 KB of garbage anywhere into the file; returns where."""
    at = draw.randrange(max(1, path.stat().st_size - PAGE))
    with path.open("r+b") as file:
        file.seek(at)
        file.write(draw.randbytes(PAGE))
    return at


@contextlib.contextmanager
def corrupted(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """Garbage in eight places of the running database. At last it has been found and the file replaced."""
    with contextlib.closing(sqlite3.connect(file_of(gateway), timeout=10)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    draw = random.Random(4)
    for _ in range(8):
        spoil(file_of(gateway), draw)
    yield
    deadline = time.monotonic() + FOUND_WITHIN_S
    while "set_aside" not in gateway.health()["troubles"]:
        assert time.monotonic() < deadline, gateway.said()[-2000:]
        time.sleep(0.1)
