"""A PostgreSQL of the tests' own: a throw-away cluster, started at most once per run, with a fresh database each time.

With LECTR_TEST_DATABASE=postgresql every test that takes its settings from here, or from the helpers that use this,
runs on it: `make test-postgres`.
"""

import atexit
import ctypes
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.ledger.postgres_schema import prepare_schema
from app.ledger.postgres_url import read_postgres_url

PASSWORD = "p@ss:w/o?rd#%é+"
RUNS_ON_IT = os.environ.get("LECTR_TEST_DATABASE") == "postgresql"
"""True in `make test-postgres`."""
MISSING = "PostgreSQL is missing: install postgresql"
STARTS_WITHIN_S = 30.0
_TEMPLATE = "lectr_template"
_SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_connections=60")
_PR_SET_PDEATHSIG = 1


def find_binaries() -> Path | None:
    """The folder with initdb and postgres; Debian keeps them away from PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    on_path = shutil.which("initdb")
    candidates = [*folders, *([Path(on_path).parent] if on_path else [])]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _unprivileged() -> str | None:
    """Whom the server runs as: it refuses to be root's."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _die_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class Cluster:
    """One server on 127.0.0.1 and on a socket in `folder`. Over TCP it wants PASSWORD, over the socket nothing."""

    def __init__(self, *options: str) -> None:
        binaries = find_binaries()
        if binaries is None:
            pytest.skip(MISSING)
        self._binaries = binaries
        self._options = (*_SPEED, *options)
        self._numbers = itertools.count()
        self._user = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="lectr-pg-", dir="/tmp"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        access = ("--username=lectr", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}")
        options = ("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", *access)
        self._call("initdb", f"--pgdata={self.folder / 'data'}", *options)
        self._certificate()
        self.start()

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {"cwd": self.folder}
        group = pwd.getpwnam(self._user).pw_gid
        return {"cwd": self.folder, "user": self._user, "group": group, "extra_groups": []}

    def _call(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            **self._as_user(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return str(done.stdout)

    def _certificate(self) -> None:
        self.certificate = self.folder / "server.crt"
        key = self.folder / "server.key"
        kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
        names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        files = ("-keyout", str(key), "-out", str(self.certificate))
        subprocess.run(["openssl", "req", *kind, *names, *files], capture_output=True, check=True)
        key.chmod(0o600)
        if self._user is not None:
            shutil.chown(key, self._user)
        self._options += ("ssl=on", f"ssl_cert_file={self.certificate}", f"ssl_key_file={key}")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        places = (f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        settings = [word for setting in (*places, *self._options) for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *settings],
                **self._as_user(),
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_tests,
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._answers():
            assert self._server.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not start in time"
            time.sleep(0.02)

    def _answers(self) -> bool:
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(ready, check=False, capture_output=True).returncode == 0

    def stop(self) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does: every connection breaks."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(30)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser; what it gives, without decoration."""
        place = ("-h", str(self.folder), "-p", str(self.port), "-U", "lectr", "-d", database)
        return self._call("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *place, "-c", statement).strip()

    def make_database(self, *, empty: bool = False) -> str:
        """Make a database with Lectr's tables in it, or an empty one; returns its name."""
        name = f"t{next(self._numbers)}"
        if not empty and not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):
            self.sql(f"CREATE DATABASE {_TEMPLATE}")
            url = self.url(_TEMPLATE)
            # In a thread: the caller's may have an event loop at work.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(prepare_schema, read_postgres_url(url), url).result()
        self.sql(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {_TEMPLATE}"))
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str, *, host: str = "127.0.0.1", password: str = PASSWORD, query: str = "") -> str:
        """DATABASE_URL of a database."""
        return f"postgres://lectr:{quote(password, safe='')}@{host}:{self.port}/{database}{query}"

    def remove(self) -> None:
        """Stop the server and throw its files away."""
        if self._server.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def cluster() -> Cluster:
    """The one server of this run."""
    made = Cluster()
    atexit.register(made.remove)
    return made


def fresh_url() -> str:
    """DATABASE_URL of a new database with Lectr's tables in it."""
    server = cluster()
    return server.url(server.make_database())


@functools.cache
def database_url(folder: Path) -> str:
    """DATABASE_URL of a Lectr with this data folder: none, or a database of its own in a run on PostgreSQL."""
    return fresh_url() if RUNS_ON_IT else ""
