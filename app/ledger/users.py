"""People who may sign in to the console: argon2id passwords and one-time sign-in links."""

import asyncio
import hashlib
import secrets

import argon2
import msgspec
import sqlalchemy as sa

from app.errors import ConflictError, NotFoundError
from app.ledger.clock import now_us
from app.ledger.database import Database
from app.ledger.storable import storable
from app.ledger.tables import sessions, sign_in_links, users

ROLES = ("admin", "viewer")
LINK_LIFE_US = 15 * 60 * 1_000_000
HASHED_AT_ONCE = 2
MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 1000
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class UserRow(msgspec.Struct, frozen=True):
    """One user; `role` is `admin` or `viewer`."""

    id: int
    name: str
    role: str
    created_at_us: int


_COLUMNS = tuple(users.c[name] for name in UserRow.__struct_fields__)


def token_digest(token: str) -> bytes:
    """What is kept of a session's or link's token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class UserStore:
    """All users. Passwords are hashed in threads, at most two at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Semaphore(HASHED_AT_ONCE)
        self._nobody: str | None = None

    async def create(self, name: str, password: str, role: str = "admin") -> UserRow:
        """Add a user. Raises ConflictError for a name that is taken or a name, role or password that cannot be."""
        name = storable(name.strip(), 101)
        if not name or len(name) > 100 or not name.isprintable():
            raise ConflictError("a user needs a name of 1 to 100 printable characters")
        if role not in ROLES:
            raise ConflictError(f"role {role[:40]!r}: write admin or viewer")
        values = {"name": name, "password": await self._hash(password), "role": role, "created_at_us": now_us()}

        def work(connection: sa.Connection) -> UserRow:
            if connection.execute(sa.select(users.c.id).where(users.c.name == name)).first() is not None:
                raise ConflictError(f"the user {name!r} exists already")
            connection.execute(users.insert(), values)
            return _one(connection, name)

        return await self._database.write(work)

    async def check(self, name: str, password: str) -> UserRow | None:
        """The user, if the password is theirs; a name that is unknown takes as long."""
        name = storable(name.strip(), 101)
        row = await self._database.read(
            lambda connection: connection.execute(
                sa.select(users.c.password, *_COLUMNS).where(users.c.name == name)
            ).first()
        )
        if self._nobody is None:
            self._nobody = await self._hash(secrets.token_urlsafe(16))
        right = await self._verify(self._nobody if row is None else row[0], password)
        if not right or row is None:
            return None
        return UserRow(row.id, row.name, row.role, row.created_at_us)

    async def set_password(self, name: str, password: str) -> None:
        """Change a password; all sessions and links of the user end. Raises NotFoundError, ConflictError."""
        hashed = await self._hash(password)

        def work(connection: sa.Connection) -> None:
            user = _one(connection, name)
            connection.execute(users.update().where(users.c.id == user.id).values(password=hashed))
            _end_access(connection, user.id)

        await self._database.write(work)

    async def keep_admin(self, password: str) -> None:
        """The user `admin` is there and has this password. Raises ConflictError for one that cannot be."""
        if await self.check("admin", password):
            return
        try:
            await self.create("admin", password)
        except ConflictError:
            await self.set_password("admin", password)

    async def list(self) -> list[UserRow]:
        """All users by name."""
        query = sa.select(*_COLUMNS).order_by(users.c.name)
        return await self._database.read(lambda connection: [UserRow(*row) for row in connection.execute(query)])

    async def count(self) -> int:
        """Number of users."""
        query = sa.select(sa.func.count()).select_from(users)
        return await self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    async def delete(self, name: str) -> None:
        """Remove a user with all sessions and links. Raises NotFoundError."""

        def work(connection: sa.Connection) -> None:
            user = _one(connection, name)
            _end_access(connection, user.id)
            connection.execute(users.delete().where(users.c.id == user.id))

        await self._database.write(work)

    async def create_link(self, name: str) -> str:
        """A token that signs the user in once within 15 minutes. Raises NotFoundError."""
        token = secrets.token_urlsafe(32)

        def work(connection: sa.Connection) -> None:
            user = _one(connection, name)
            connection.execute(sign_in_links.delete().where(sign_in_links.c.expires_at_us <= now_us()))
            connection.execute(
                sign_in_links.insert(),
                {"digest": token_digest(token), "user_id": user.id, "expires_at_us": now_us() + LINK_LIFE_US},
            )

        await self._database.write(work)
        return token

    async def redeem_link(self, token: str) -> UserRow | None:
        """The user of a link that is still good; it is good no more afterwards."""
        digest = token_digest(token)

        def work(connection: sa.Connection) -> UserRow | None:
            living = sa.and_(sign_in_links.c.digest == digest, sign_in_links.c.expires_at_us > now_us())
            query = sa.select(*_COLUMNS).join(sign_in_links, sign_in_links.c.user_id == users.c.id).where(living)
            row = connection.execute(query).first()
            connection.execute(sign_in_links.delete().where(sign_in_links.c.digest == digest))
            return None if row is None else UserRow(*row)

        return await self._database.write(work)

    async def _hash(self, password: str) -> str:
        if not password or len(password) > MAX_PASSWORD_CHARACTERS:
            raise ConflictError(f"a password has 1 to {MAX_PASSWORD_CHARACTERS} characters")
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password.encode("utf-8", "replace"))

    async def _verify(self, hashed: str, password: str) -> bool:
        async with self._turn:
            return await asyncio.to_thread(_is_right, hashed, password[:MAX_PASSWORD_CHARACTERS])


def _is_right(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password.encode("utf-8", "replace"))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _one(connection: sa.Connection, name: str) -> UserRow:
    row = connection.execute(sa.select(*_COLUMNS).where(users.c.name == storable(name.strip(), 101))).first()
    if row is None:
        raise NotFoundError(f"there is no user named {name[:100]!r}")
    return UserRow(*row)


def _end_access(connection: sa.Connection, user_id: int) -> None:
    for table in (sessions, sign_in_links):
        connection.execute(table.delete().where(table.c.user_id == user_id))
