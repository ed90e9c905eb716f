"""What can befall a PostgreSQL under load: each is a context in which it holds. The server is the tests' own."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from tests.faults.processes import Gateway
from tests.postgres import PASSWORD, Cluster, cluster, find_binaries

PROGRAM = "program"
"""Who Lectr signs in as. Not the superuser, whom limits do not concern."""


def has_postgres() -> bool:
    """it needs postgresql"""
    return find_binaries() is not None


def own_database(server: Cluster | None = None) -> str:
    """DATABASE_URL of a new database that belongs to PROGRAM."""
    server = server or cluster()
    if not server.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{PROGRAM}'"):
        server.sql(f"CREATE ROLE {PROGRAM} LOGIN PASSWORD '{PASSWORD}'")
    name = server.make_database(empty=True)
    server.sql(f"ALTER DATABASE {name} OWNER TO {PROGRAM}")
    return f"postgres://{PROGRAM}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{name}"


def _hang_up(gateway: Gateway) -> None:
    name = urlsplit(gateway.database).path.lstrip("/")
    cluster().sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@contextlib.contextmanager
def restarted(_gateway: Gateway, _seconds: float) -> Iterator[None]:
    """`pg_ctl restart -m immediate`, and a while passes before it is back."""
    cluster().stop()
    try:
        yield
    finally:
        cluster().start()


@contextlib.contextmanager
def no_connections(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """All connections break, and there is none left to be had."""
    cluster().sql(f"ALTER ROLE {PROGRAM} CONNECTION LIMIT 0")
    _hang_up(gateway)
    try:
        yield
    finally:
        cluster().sql(f"ALTER ROLE {PROGRAM} CONNECTION LIMIT -1")


@contextlib.contextmanager
def read_only_server(gateway: Gateway, _seconds: float) -> Iterator[None]:
    """A failover to a server that may only be read."""
    cluster().sql(f"ALTER ROLE {PROGRAM} SET default_transaction_read_only = on")
    _hang_up(gateway)
    try:
        yield
    finally:
        cluster().sql(f"ALTER ROLE {PROGRAM} RESET default_transaction_read_only")
        _hang_up(gateway)
