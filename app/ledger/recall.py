"""Keys and settings from the copy that `care` keeps of them: for a start while the database server is away.

Without it every program would get 503, or worse 401, until the server is back. The copy holds what the database held
when it was last seen: a key that was revoked elsewhere since then lives until the database answers again.
"""

import asyncio

import sqlalchemy as sa

from app.ledger.advice_tables import METADATA
from app.ledger.database import Database
from app.ledger.essentials import Essentials, copy_of, put_essentials, read_copy
from app.ledger.keys import KeyStore
from app.ledger.postgres_url import name_beside, read_postgres_url
from app.ledger.team import TeamStore
from app.settings import Settings


def knows_last_state(settings: Settings) -> bool:
    """True if a copy is kept of the database server that these settings name. Raises LedgerError for a bad URL."""
    return copy_of(name_beside(read_postgres_url(settings.database_url), settings.data_dir)).exists()


async def recall(database: Database, keys: KeyStore, team: TeamStore) -> bool:
    """Let both take what the copy has; False where there is none, and then both know nothing."""
    found = await asyncio.to_thread(read_copy, database.beside)
    if found:
        await asyncio.to_thread(_take, found, keys, team)
    return bool(found)


def _take(found: Essentials, keys: KeyStore, team: TeamStore) -> None:
    # The same questions are asked of a database in memory, so that both answers are read alike.
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    try:
        with engine.begin() as connection:
            METADATA.create_all(connection)
            put_essentials(connection, found)
            keys.recall(connection)
            team.recall(connection)
    finally:
        engine.dispose()
