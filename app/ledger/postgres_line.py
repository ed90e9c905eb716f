"""One connection to a PostgreSQL, and the event loop it lives on.

asyncpg needs an event loop, and work on the ledger has threads of its own: so each thread has a loop and a connection,
and runs a whole transaction in one go. Every transaction that writes takes one lock of the server first: several
processes write in turn, as they do into a SQLite file, and what one reads before it writes cannot move under it.

No statement outlives its transaction, so a pooler may give each transaction another server.
"""

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.errors import LedgerAway
from app.ledger.postgres_url import CONNECT_TIMEOUT_S, PostgresTarget

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

STATEMENT_TIMEOUT_S = 300.0
HANG_UP_TURNS = 500
WRITE_LOCK = int.from_bytes(b"Lectr")
_TAKE_TURN = (
    "SELECT set_config('lock_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', '60s', true), "
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END, "
    f"pg_advisory_xact_lock({WRITE_LOCK})"
)
"""A row counts as written when it survives the server's end, as in SQLite with synchronous=FULL."""
_REFUSED = ("28", "3D", "42501")
"""Wrong user or password, no such database, no right to connect."""


class Line:
    """One connection, for one thread at a time."""

    def __init__(self, target: PostgresTarget, *, writes: bool) -> None:
        self._target = target
        self._writes = writes
        self._watched = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._watched)
        self._engine = _engine(target, writes=writes)

    def run(self, work: Work[T]) -> T:
        """Run `work` in one transaction. Raises LedgerAway if the server does not answer, SQLAlchemyError."""
        try:
            try:
                return self._loop.run_until_complete(self._transaction(work))
            except exc.DBAPIError as error:
                if self._writes or not error.connection_invalidated:
                    raise
                # The server was restarted since the last read: that connection is gone, another may do.
                return self._loop.run_until_complete(self._transaction(work))
        except OSError as error:
            raise away(self._target, error) from error

    async def _transaction(self, work: Work[T]) -> T:
        async with self._engine.connect() as connection, connection.begin():
            return await connection.run_sync(work)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(exc.SQLAlchemyError, OSError):
            self._loop.run_until_complete(self._hang_up())
        self._loop.close()

    async def _hang_up(self) -> None:
        await self._engine.dispose()
        # A transport is closed some turns later, one of TLS when the server has answered; one is the loop's own.
        for _ in range(HANG_UP_TURNS):
            if len(self._watched.get_map()) <= 1:
                break
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _engine(target: PostgresTarget, *, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "async_creator_fn": lambda: connect(target),
            "prepared_statement_cache_size": 0,
            # The unnamed statement, which the next one replaces.
            "prepared_statement_name_func": str,
        },
        isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        execution_options={"postgresql_readonly": not writes},
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    dialect: Any = engine.sync_engine.dialect
    # There is no JSON in the ledger, and what these ask the server they ask outside of a transaction.
    dialect.setup_asyncpg_json_codec = dialect.setup_asyncpg_jsonb_codec = _no_codec

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(_TAKE_TURN)

    if writes:
        event.listen(engine.sync_engine, "begin", begun)
    return engine


async def _no_codec(_connection: object) -> None:
    return


async def connect(target: PostgresTarget) -> Any:
    """A new connection of asyncpg. Raises LedgerAway with what the server, or the network, said."""
    # Imported late: who keeps the ledger in a file need not pay for it.
    import asyncpg

    try:
        connection = await asyncpg.connect(
            **target.arguments,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            statement_cache_size=0,
        )
        _notice_silence(connection._transport.get_extra_info("socket"))
        return connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise away(target, error) from error


def _notice_silence(line: Any) -> None:
    """A server that vanished without a word must not hold a thread for as long as a statement may take."""
    if line.family != socket.AF_UNIX:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)


def away(target: PostgresTarget, error: BaseException) -> LedgerAway:
    """The error as a sentence, without the password."""
    said = target.scrubbed(str(error)).strip().splitlines()
    state = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, TimeoutError):
        said = ["no answer in time"]
    reason = said[0] if said else type(error).__name__
    return LedgerAway(f"{target.shown} cannot be reached: {reason}", refused=state.startswith(_REFUSED))
