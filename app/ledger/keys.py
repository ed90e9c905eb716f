"""Lectr keys: made, listed, revoked, and found in memory on the request path. Only their SHA-256 is kept."""

import hashlib
import secrets
import string
from typing import Any

import msgspec
import sqlalchemy as sa

from app.domain import MAX_LABEL_CHARACTERS, KeyIdentity
from app.errors import ConflictError, LedgerError, NotFoundError
from app.ledger.changes import KEYS, ChangeFeed, announce
from app.ledger.clock import now_us
from app.ledger.database import Database
from app.ledger.dialects import count_on
from app.ledger.storable import storable
from app.ledger.tables import keys

KEY_PREFIX = "lc_key_"
KEY_CHARACTERS = string.ascii_letters + string.digits
KEY_LENGTH = 32


class KeyRow(msgspec.Struct, frozen=True):
    """One key as people see it: `hint` are its last four characters."""

    id: int
    name: str
    hint: str
    default_provider: str | None
    default_feature: str | None
    requests_per_minute: int | None
    concurrent_streams: int | None
    created_at_us: int
    revoked_at_us: int | None
    last_used_at_us: int | None


_COLUMNS = tuple(keys.c[name] for name in KeyRow.__struct_fields__)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class KeyStore:
    """All keys. `ready` is False until they were read once; afterwards the last good state stays in use."""

    def __init__(self, database: Database, feed: ChangeFeed | None = None) -> None:
        self.ready = False
        self._database = database
        self._epoch = database.epoch
        self._known: list[dict[str, Any]] = []
        self._living: dict[bytes, KeyIdentity] = {}
        self._used: dict[int, int] = {}
        if feed is not None:
            feed.subscribe(KEYS, self.load)
            feed.flush_with(self.flush_used)

    async def load(self) -> None:
        """Read all living keys. Raises LedgerError; what was known before then stays.

        A database that was deleted under this process gets its keys back: an empty one must not lock callers out.
        """
        epoch = self._database.epoch
        if epoch != self._epoch and self._known:
            await self._database.write(lambda connection: _put_back(connection, self._known))
        self._living, self._known = await self._database.look(
            lambda connection: (_living(connection), _all(connection))
        )
        self._epoch = epoch
        self.ready = True

    def recall(self, connection: sa.Connection) -> None:
        """Take the keys that this connection shows, a copy's, until the database can be read."""
        self._living, self._known = _living(connection), _all(connection)
        self.ready = True

    def find(self, secret: str) -> KeyIdentity | None:
        """The living key with this secret."""
        return self._living.get(_digest(secret))

    def used(self, key_id: int, at_us: int) -> None:
        """Note that a key was used; written lazily."""
        self._used[key_id] = at_us

    async def flush_used(self) -> None:
        """Write the noted times of last use."""
        used, self._used = self._used, {}
        if not used:
            return
        rows = [{"key_id": key_id, "at_us": at_us} for key_id, at_us in used.items()]
        newer = sa.or_(keys.c.last_used_at_us.is_(None), keys.c.last_used_at_us < sa.bindparam("at_us"))
        statement = keys.update().where(keys.c.id == sa.bindparam("key_id"), newer)
        statement = statement.values(last_used_at_us=sa.bindparam("at_us"))
        try:
            await self._database.write(lambda connection: connection.execute(statement, rows))
        except LedgerError:
            self._used = used | self._used
            raise

    async def create(
        self,
        name: str,
        *,
        provider: str | None = None,
        feature: str | None = None,
        requests_per_minute: int | None = None,
        streams: int | None = None,
    ) -> tuple[str, KeyRow]:
        """Make a key; its secret is returned this once. Raises ConflictError if the name was ever used."""
        name = _checked_name(name)
        secret = KEY_PREFIX + "".join(secrets.choice(KEY_CHARACTERS) for _ in range(KEY_LENGTH))
        values: dict[str, Any] = {
            "name": name,
            "digest": _digest(secret),
            "hint": secret[-4:],
            "default_provider": provider,
            "default_feature": storable(feature, MAX_LABEL_CHARACTERS) if feature else None,
            "requests_per_minute": requests_per_minute,
            "concurrent_streams": streams,
            "created_at_us": now_us(),
        }
        row = await self._database.write(lambda connection: _create(connection, values))
        await self.load()
        return secret, row

    async def list(self) -> list[KeyRow]:
        """All keys, revoked ones too, by name."""
        rows = await self._database.read(lambda connection: _rows(connection))
        return [msgspec.structs.replace(row, last_used_at_us=self._last_used(row)) for row in rows]

    def _last_used(self, row: KeyRow) -> int | None:
        known = [at_us for at_us in (row.last_used_at_us, self._used.get(row.id)) if at_us is not None]
        return max(known, default=None)

    async def revoke(self, name: str) -> None:
        """End a key: at once here, within a second in other processes. Raises NotFoundError."""
        await self._database.write(lambda connection: _revoke(connection, name))
        await self.load()


def _checked_name(name: str) -> str:
    name = storable(name.strip(), MAX_LABEL_CHARACTERS + 1)
    if not name or len(name) > MAX_LABEL_CHARACTERS or not name.isprintable():
        raise ConflictError(f"a key needs a name of 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return name


def _living(connection: sa.Connection) -> dict[bytes, KeyIdentity]:
    columns = ("id", "name", "default_provider", "default_feature", "requests_per_minute", "concurrent_streams")
    query = sa.select(keys.c.digest, *(keys.c[name] for name in columns)).where(keys.c.revoked_at_us.is_(None))
    return {bytes(digest): KeyIdentity(*values) for digest, *values in connection.execute(query)}


def _all(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(keys)).mappings()]


def _put_back(connection: sa.Connection, known: list[dict[str, Any]]) -> None:
    if connection.execute(sa.select(keys.c.id).limit(1)).first() is None:
        connection.execute(keys.insert(), known)
        count_on(connection, keys)
        announce(connection, KEYS)


def _rows(connection: sa.Connection) -> list[KeyRow]:
    return [KeyRow(*row) for row in connection.execute(sa.select(*_COLUMNS).order_by(keys.c.name))]


def _create(connection: sa.Connection, values: dict[str, Any]) -> KeyRow:
    taken = connection.execute(sa.select(keys.c.revoked_at_us).where(keys.c.name == values["name"])).first()
    if taken is not None:
        why = "exists already" if taken[0] is None else "was revoked, and its rows in the ledger keep the name"
        raise ConflictError(f"the key {values['name']!r} {why}; choose another name")
    connection.execute(keys.insert(), values)
    announce(connection, KEYS)
    return KeyRow(*connection.execute(sa.select(*_COLUMNS).where(keys.c.name == values["name"])).one())


def _revoke(connection: sa.Connection, name: str) -> None:
    living = sa.and_(keys.c.name == name, keys.c.revoked_at_us.is_(None))
    if connection.execute(keys.update().where(living).values(revoked_at_us=now_us())).rowcount == 0:
        raise NotFoundError(f"there is no living key named {name!r}")
    announce(connection, KEYS)
