"""The runs: kill -9 in a loop, and a database that fails under load. Each ends with the oracle's verdict."""

import asyncio
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

import msgspec

from tests.faults.clients import Crowd
from tests.faults.oracle import Verdict, judge
from tests.faults.processes import Gateway, Provider

Fault = Callable[[Gateway, float], AbstractContextManager[None]]


class Run(msgspec.Struct):
    """A verdict, the seconds each start took, the last health, and requests per second before and during a fault."""

    verdict: Verdict
    ready_s: list[float]
    health: dict[str, object]
    before: float = 0.0
    during: float = 0.0
    failures: int = 0


@contextlib.contextmanager
def box(folder: Path, control: str | None = None, *, database: str = "") -> Iterator[tuple[Provider, Gateway]]:
    """A provider and a gateway that is not started yet; both are ended at last."""
    folder.mkdir(parents=True, exist_ok=True)
    provider = Provider(folder)
    gateway = Gateway(folder, provider.port, control, database=database)
    try:
        yield provider, gateway
    finally:
        gateway.end()
        provider.end()


def kill_cycles(folder: Path, cycles: int, *, control: str | None = None, seed: int = 1, database: str = "") -> Run:
    """Start, load, kill -9 in the middle, again and again; then a last start that brings everything home."""
    draw = random.Random(seed)
    with box(folder, control, database=database) as (provider, gateway):
        crowd = Crowd(gateway.port, gateway.make_key(), leaves=0.05, seed=seed)

        async def cycle(seconds: float) -> None:
            calling = asyncio.create_task(crowd.call_for(seconds))
            await asyncio.sleep(seconds * 0.9)
            await asyncio.to_thread(gateway.kill)
            await calling

        for _ in range(cycles):
            gateway.start()
            asyncio.run(cycle(draw.uniform(0.3, 1.5)))
        gateway.start()
        health = gateway.settle()
        assert gateway.terminate() == 0
        return Run(judge(crowd.seen, provider.log, gateway.settings), gateway.ready_s, health)


def under_load(
    folder: Path, fault: Fault, *, seconds: float = 4.0, control: str | None = None, database: str = ""
) -> Run:
    """Load for `seconds` without, with and after a fault of the database; 0.02 of the clients hang up."""
    with box(folder, control, database=database) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd = Crowd(gateway.port, key, leaves=0.02)
        counts: list[int] = []

        def answered() -> int:
            return sum(one.complete and one.status == 200 for one in crowd.seen)

        async def run() -> None:
            calling = asyncio.create_task(crowd.call_for(seconds * 3 + 1))
            await asyncio.sleep(1)
            counts.append(answered())
            await asyncio.sleep(seconds)
            counts.append(answered())
            with fault(gateway, seconds):
                await asyncio.sleep(seconds)
                counts.append(answered())
            await calling

        asyncio.run(run())
        health = gateway.settle()
        assert gateway.terminate() == 0
        failures = sum(not one.left and not (one.complete and one.status == 200) for one in crowd.seen)
        before, during = (counts[1] - counts[0]) / seconds, (counts[2] - counts[1]) / seconds
        verdict = judge(crowd.seen, provider.log, gateway.settings)
        return Run(verdict, gateway.ready_s, health, before, during, failures)


def _file(gateway: Gateway) -> Path:
    return gateway.data_dir / "lectr.db"


@contextlib.contextmanager
def locked(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """Another process holds the database."""
    other = sqlite3.connect(_file(gateway), isolation_level=None, timeout=30)
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
        Path(f"{_file(gateway)}{suffix}").unlink(missing_ok=True)
    yield


@contextlib.contextmanager
def replaced(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """An older copy stands where the database was."""
    copy = gateway.data_dir / "copy.db"
    with (
        contextlib.closing(sqlite3.connect(_file(gateway))) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    time.sleep(0.5)
    for suffix in ("-wal", "-shm"):
        Path(f"{_file(gateway)}{suffix}").unlink(missing_ok=True)
    copy.replace(_file(gateway))
    yield


@contextlib.contextmanager
def read_only(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """Nobody may write the database's files. Needs the right to use chattr."""
    files = [path for suffix in ("", "-wal") if (path := Path(f"{_file(gateway)}{suffix}")).exists()]
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
