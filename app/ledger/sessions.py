"""Console sessions. Only the SHA-256 of a token is kept; they end after 12 idle hours and after 7 days."""

import secrets

import msgspec
import sqlalchemy as sa

from app.ledger.clock import now_us
from app.ledger.database import Database
from app.ledger.tables import sessions, users
from app.ledger.users import token_digest

IDLE_US = 12 * 3600 * 1_000_000
ABSOLUTE_US = 7 * 24 * 3600 * 1_000_000
SEEN_EVERY_US = 60 * 1_000_000


class SessionRow(msgspec.Struct, frozen=True):
    """One living session and whose it is."""

    user_id: int
    name: str
    role: str
    created_at_us: int
    last_seen_at_us: int


class SessionStore:
    """All sessions, in the database and so the same for every process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, user_id: int) -> str:
        """Begin a session and return its token, 256 random bits; ended ones are cleared away."""
        token = secrets.token_urlsafe(32)
        now = now_us()
        row = {"digest": token_digest(token), "user_id": user_id, "created_at_us": now, "last_seen_at_us": now}
        ended = sa.or_(sessions.c.last_seen_at_us <= now - IDLE_US, sessions.c.created_at_us <= now - ABSOLUTE_US)

        def work(connection: sa.Connection) -> None:
            connection.execute(sessions.delete().where(ended))
            connection.execute(sessions.insert(), row)

        await self._database.write(work)
        return token

    async def get(self, token: str) -> SessionRow | None:
        """The living session of this token; looking counts as being seen."""
        digest, now = token_digest(token), now_us()
        columns = (sessions.c.user_id, users.c.name, users.c.role, sessions.c.created_at_us, sessions.c.last_seen_at_us)
        query = (
            sa.select(*columns)
            .join(users, users.c.id == sessions.c.user_id)
            .where(
                sessions.c.digest == digest,
                sessions.c.last_seen_at_us > now - IDLE_US,
                sessions.c.created_at_us > now - ABSOLUTE_US,
            )
        )
        row = await self._database.look(lambda connection: connection.execute(query).first())
        if row is None:
            return None
        session = SessionRow(*row)
        if now - session.last_seen_at_us > SEEN_EVERY_US:
            seen = sessions.update().where(sessions.c.digest == digest).values(last_seen_at_us=now)
            await self._database.write(lambda connection: connection.execute(seen))
        return session

    async def end(self, token: str) -> None:
        """End one session."""
        ended = sessions.delete().where(sessions.c.digest == token_digest(token))
        await self._database.write(lambda connection: connection.execute(ended))

    async def end_all(self, user_id: int) -> None:
        """End all sessions of a user."""
        ended = sessions.delete().where(sessions.c.user_id == user_id)
        await self._database.write(lambda connection: connection.execute(ended))
