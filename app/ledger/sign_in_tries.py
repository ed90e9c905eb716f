"""Tries to sign in, by name: in the database, so that they are the same for every process. No address is kept."""

import hashlib

import sqlalchemy as sa

from app.ledger.database import Database
from app.ledger.tables import sign_in_tries


class SignInTries:
    """The tries of the last `window_us` microseconds; of one name at most `most`."""

    def __init__(self, database: Database, window_us: int, most: int) -> None:
        self._database = database
        self._window_us = window_us
        self._most = most

    async def admit(self, name: str, now_us: int) -> int:
        """Count one try. Returns 0 if it may go on, else the microseconds to wait. Raises LedgerError."""
        digest = _digest(name)
        # A flood is refused by reading alone: it keeps nobody else from writing.
        if wait := await self._database.read(lambda connection: self._wait(connection, digest, now_us)):
            return wait

        def work(connection: sa.Connection) -> int:
            if wait := self._wait(connection, digest, now_us):
                return wait
            c = sign_in_tries.c
            connection.execute(sign_in_tries.delete().where(c.at_us <= now_us - self._window_us))
            latest = connection.execute(sa.select(sa.func.max(c.at_us)).where(c.name_digest == digest)).scalar()
            at_us = max(now_us, (latest or 0) + 1)
            connection.execute(sign_in_tries.insert(), {"name_digest": digest, "at_us": at_us})
            return 0

        return await self._database.write(work)

    async def forget(self, name: str) -> None:
        """Nothing is held against this name any more. Raises LedgerError."""
        digest = _digest(name)
        await self._database.write(
            lambda connection: connection.execute(sign_in_tries.delete().where(sign_in_tries.c.name_digest == digest))
        )

    def _wait(self, connection: sa.Connection, digest: bytes, now_us: int) -> int:
        c = sign_in_tries.c
        query = sa.select(c.at_us).where(c.name_digest == digest, c.at_us > now_us - self._window_us)
        tries = list(connection.execute(query.order_by(c.at_us.desc()).limit(self._most)).scalars())
        return 0 if len(tries) < self._most else max(1, tries[-1] + self._window_us - now_us)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.casefold().encode("utf-8", "surrogatepass")).digest()[:16]
