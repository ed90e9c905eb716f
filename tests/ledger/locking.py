"""Another process that holds the ledger, so that nobody else can write."""

import sqlite3
from collections.abc import Awaitable, Callable

from app.ledger.database import Database
from app.ledger.postgres_line import WRITE_LOCK, connect
from app.ledger.postgres_url import read_postgres_url
from app.settings import Settings

Free = Callable[[], Awaitable[None]]


async def lock(database: Database, settings: Settings) -> Free:
    """Hold the ledger until what this returns is called."""
    if database.path is None:
        server = await connect(read_postgres_url(settings.database_url))
        await server.execute(f"SELECT pg_advisory_lock({WRITE_LOCK})")
        return lambda: server.close()
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def free() -> None:
        other.execute("ROLLBACK")
        other.close()

    return free
