"""Lectr and its provider as real processes, started and ended by the harness."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.ledger.database import open_database
from app.ledger.keys import KeyStore
from app.ledger.spool_files import LIVE, owner_of, segments
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 20.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Provider:
    """The upstream process. `log` has a line per request that arrived."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.log = folder / "upstream.log"
        self.closed = folder / "upstream.closed"
        port_file = folder / "upstream.port"
        arguments = [
            sys.executable,
            "-m",
            "tests.faults.upstream",
            str(self.log),
            str(port_file),
            str(self.closed),
            *words,
        ]
        self._process = subprocess.Popen(arguments, cwd=ROOT)
        deadline = time.monotonic() + READY_WITHIN_S
        while not (port_file.exists() and port_file.read_text()):
            assert self._process.poll() is None, "the provider ended"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.port = int(port_file.read_text())

    def arrived(self) -> list[str]:
        """The nonces of all requests that came, in their order."""
        return self.log.read_text().split()

    def closings(self) -> dict[str, int]:
        """When callers hung up, by nonce: nanoseconds of the machine's monotonic clock."""
        lines = self.closed.read_text().splitlines() if self.closed.exists() else []
        return {nonce: int(at_ns) for nonce, at_ns in map(str.split, lines)}

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Gateway:
    """One `lectr serve`. `control` takes a safeguard out (see controls); `ready_s` are the times of all starts.

    `database` is a DATABASE_URL; without one the ledger is the data folder's SQLite file.
    """

    def __init__(
        self,
        folder: Path,
        upstream_port: int,
        control: str | None = None,
        port: int | None = None,
        *,
        database: str = "",
        environ: Mapping[str, str] | None = None,
        words: Sequence[str] = (),
        before: Sequence[str] = (),
        files: int | None = None,
        log: int | None = None,
    ) -> None:
        """`words` come behind `serve`, the program `before` in front of it; `files` is its limit of descriptors.

        `log` is a descriptor for standard error instead of a file.
        """
        self.database = database
        self._words = words
        self._before = before
        self._files = files
        self._stderr = log
        self.data_dir = folder / "data"
        self.port = port or free_port()
        self.ready_s: list[float] = []
        self._control = control
        self._log = folder / "lectr.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | {
            "LECTR_DATA_DIR": str(self.data_dir),
            "LECTR_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}",
            "LECTR_ALLOW_PRIVATE_UPSTREAMS": "1",
            "PORT": str(self.port),
            **({"DATABASE_URL": database} if database else {}),
            **(environ or {}),
        }

    def share(self, data_dir: Path) -> None:
        """Use another gateway's data folder."""
        self.data_dir = data_dir
        self._environ["LECTR_DATA_DIR"] = str(data_dir)

    @property
    def settings(self) -> Settings:
        """Settings that lead to the same ledger."""
        return Settings(data_dir=self.data_dir, database_url=self.database)

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    def make_key(self) -> str:
        """A new Lectr key."""

        async def make() -> str:
            database = await open_database(self.settings)
            try:
                return (await KeyStore(database).create(f"faults-{time.time_ns()}"))[0]
            finally:
                await database.close()

        return asyncio.run(make())

    def start(self) -> float:
        """Start and wait until it answers; returns the seconds that took."""
        program = ["-m", "app"] if self._control is None else ["-m", "tests.faults.controls", self._control]
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._before, sys.executable, *program, "serve", *self._words],
                cwd=ROOT,
                env=self._environ,
                stdout=log,
                stderr=log if self._stderr is None else self._stderr,
                preexec_fn=self._limit,
            )
        while time.monotonic() < began + READY_WITHIN_S:
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            try:
                self.health()
            except OSError:
                time.sleep(0.02)
                continue
            self.ready_s.append(time.monotonic() - began)
            return self.ready_s[-1]
        raise TimeoutError(self._log.read_text()[-3000:])

    def command(self, *words: str, control: str | None = None, **environ: str) -> "subprocess.Popen[bytes]":
        """A `lectr` command on the same ledger, in a process group of its own."""
        program = ["-m", "app"] if control is None else ["-m", "tests.faults.controls", control]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *program, *words],
                cwd=ROOT,
                env={**self._environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _limit(self) -> None:
        if self._files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))

    def health(self) -> dict[str, Any]:
        """The document of /health."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
            document: dict[str, Any] = json.load(answer)
            return document

    def settle(self, within_s: float = 60.0) -> dict[str, Any]:
        """Wait until everything known is in the database."""
        deadline = time.monotonic() + within_s
        idle = 0
        while idle < 3:
            health = self.health()
            busy = (health["ledger_waiting"], health["ledger_replaying"], health["in_flight"])
            idle = 0 if any(busy) or health["spool_requests"] or self.orphans() else idle + 1
            assert time.monotonic() < deadline, health
            time.sleep(0.1)
        return health

    def orphans(self) -> list[str]:
        """Segments of dead processes that nobody has brought home yet; a server's start may leave them for a second."""
        owners = {owner_of(path) for path in segments(self.data_dir / "spool", LIVE)}
        return [owner for owner in owners if not Path(f"/proc/{owner.split('-')[1]}").exists()]

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.ask_to_end()
        return self.wait()

    def ask_to_end(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self, within_s: float = 40.0) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(within_s)

    def said(self) -> str:
        """What it has written to its log."""
        return self._log.read_text(errors="replace")

    def end(self) -> None:
        """End it whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
