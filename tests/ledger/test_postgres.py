"""What only a database server does: it is away, restarts, is full, refuses to write, loses its tables, is far away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from app.counters import Counters
from app.domain import LedgerEntry
from app.errors import LedgerAway, LedgerError
from app.ledger.care import Caretaker
from app.ledger.database import Database, open_database
from app.ledger.essentials import copy_of
from app.ledger.filters import RequestFilter
from app.ledger.journal import Journal
from app.ledger.keys import KeyStore
from app.ledger.postgres_line import Line
from app.ledger.postgres_url import read_postgres_url
from app.ledger.recall import knows_last_state, recall
from app.ledger.request_lists import count_requests
from app.ledger.started import Started
from app.ledger.team import TeamStore
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, entry
from tests.postgres import PASSWORD, Cluster

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
SOON_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """One that may be stopped and broken."""
    made = Cluster("max_connections=12", "superuser_reserved_connections=3")
    yield made
    made.remove()


@pytest.fixture
def place(server: Cluster, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=server.url(server.make_database()))


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline, "this did not come true in time"
        await asyncio.sleep(0.02)


def no_interrupted(_started: Started) -> LedgerEntry:
    raise AssertionError("nothing was interrupted")


@contextlib.asynccontextmanager
async def writing(database: Database, settings: Settings) -> AsyncIterator[LedgerWriter]:
    writer = LedgerWriter(database, journal=Journal(settings.data_dir / "spool", database, no_interrupted, tend_s=0.05))
    writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


async def hand_over(writer: LedgerWriter, first: int, count: int) -> None:
    """Requests must never wait for the database: the spool confirms each at once."""
    for number in range(first, first + count):
        async with asyncio.timeout(5):
            await writer.hand_over(entry(T0 + number * 1000))


async def check(database: Database, rows: int) -> None:
    assert await count_requests(database, RequestFilter()) == rows
    assert await verify_rollup(database) == []


async def test_a_server_that_breaks_all_connections_gets_every_row_once_it_is_back(
    server: Cluster, place: Settings
) -> None:
    database = await open_database(place)
    async with writing(database, place) as writer:
        await hand_over(writer, 0, 100)
        await until(lambda: writer.counters.written == 100)
        server.stop()
        await hand_over(writer, 100, 200)
        assert writer.counters.written < 300
        assert writer.counters.last_error or writer.counters.waiting
        assert PASSWORD not in writer.counters.last_error
        with pytest.raises(LedgerError):
            await database.read(lambda connection: connection.execute(sa.text("SELECT 1")))
        server.start()
        await hand_over(writer, 300, 50)
        await until(lambda: writer.counters.written == 350)
        await check(database, 350)
        assert (writer.counters.lost, writer.counters.parked, writer.counters.last_error) == (0, 0, "")
    await database.close()


async def test_a_restart_between_two_reads_is_not_noticed(server: Cluster, place: Settings) -> None:
    database = await open_database(place)
    for _ in range(2):
        assert await count_requests(database, RequestFilter()) == 0
        server.stop()
        server.start()
    assert await count_requests(database, RequestFilter()) == 0
    await database.close()


async def test_rows_wait_where_no_connection_is_left(server: Cluster, place: Settings) -> None:
    server.sql("CREATE ROLE poor LOGIN PASSWORD 'poor' CONNECTION LIMIT 1; GRANT ALL ON SCHEMA public TO poor")
    name = place.database_url.rsplit("/", 1)[1]
    url = f"postgres://poor:poor@127.0.0.1:{server.port}/{name}"
    server.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO poor", name)
    server.sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO poor", name)
    taken = Line(read_postgres_url(url), writes=False)
    await asyncio.to_thread(taken.run, lambda connection: connection.execute(sa.text("SELECT 1")) and None)
    database = await open_database(msgspec.structs.replace(place, database_url=url), mends=True)
    async with writing(database, place) as writer:
        await hand_over(writer, 0, 50)
        await until(lambda: "too many connections" in writer.counters.last_error)
        await asyncio.to_thread(taken.close)
        await until(lambda: writer.counters.written == 50)
    await database.close()
    database = await open_database(place)
    await check(database, 50)
    await database.close()


async def test_rows_wait_for_a_server_that_is_read_only(server: Cluster, place: Settings) -> None:
    name = place.database_url.rsplit("/", 1)[1]
    database = await open_database(place)
    keys = KeyStore(database)
    secret, _ = await keys.create("program")
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    async with writing(database, place) as writer:
        await hand_over(writer, 0, 50)
        await until(lambda: "read-only" in writer.counters.last_error)
        assert keys.find(secret) is not None
        with pytest.raises(LedgerError, match="read-only"):
            await keys.create("another")
        assert writer.counters.parked == 0
        server.sql(
            f"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only"
        )
        server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await until(lambda: writer.counters.written == 50)
    await check(database, 50)
    await database.close()


async def test_tables_that_are_gone_are_made_anew_with_rows_and_keys(server: Cluster, place: Settings) -> None:
    name = place.database_url.rsplit("/", 1)[1]
    database = await open_database(place)
    keys = KeyStore(database)
    secret, row = await keys.create("program")
    async with writing(database, place) as writer:
        await hand_over(writer, 0, 50)
        await until(lambda: writer.counters.written == 50)
        server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public", name)
        await hand_over(writer, 50, 10)
        await until(lambda: writer.counters.written == 60 and writer.counters.replayed >= 50)
        assert database.epoch == 1
        await keys.load()
        assert keys.find(secret) is not None
        await check(database, 60)
        # Ids go on behind the ones that were put back.
        assert (await keys.create("next"))[1].id > row.id
    await database.close()


async def test_a_start_without_the_server_knows_the_keys_of_the_last_one(server: Cluster, place: Settings) -> None:
    database = await open_database(place)
    keys, team = KeyStore(database), TeamStore(database)
    secret, _ = await keys.create("program", feature="chat")
    await team.set("azure_endpoint", "https://a.openai.azure.com")
    added = await team.add_override("alias", "openai", "gpt-4o", alias="our-model")
    care = Caretaker(database, lambda _: asyncio.sleep(0), Counters())
    care.start()
    await until(lambda: copy_of(database.beside).exists())
    await care.stop()
    await database.close()
    assert copy_of(database.beside).stat().st_mode & 0o077 == 0
    assert secret.encode() not in copy_of(database.beside).read_bytes()
    server.stop()
    try:
        assert knows_last_state(place)
        with pytest.raises(LedgerAway, match="cannot be reached"):
            await open_database(place)
        database = await open_database(place, mends=True)
        keys, team = KeyStore(database), TeamStore(database)
        with pytest.raises(LedgerAway):
            await keys.load()
        assert not keys.ready
        assert await recall(database, keys, team)
        assert keys.ready
        found = keys.find(secret)
        assert found is not None
        assert (found.name, found.default_feature) == ("program", "chat")
        assert team.values.azure_endpoint == "https://a.openai.azure.com"
        assert team.overrides == (added,)
        async with writing(database, place) as writer:
            await hand_over(writer, 0, 50)
            server.start()
            await until(lambda: writer.counters.written == 50)
        await keys.load()
        await check(database, 50)
    finally:
        server.stop()
        server.start()
    await database.close()


async def test_another_database_is_not_served_with_the_keys_of_this_one(place: Settings) -> None:
    database = await open_database(place)
    copy_of(database.beside).write_bytes(b"\x80")
    await database.close()
    assert knows_last_state(place)
    assert not knows_last_state(msgspec.structs.replace(place, database_url=place.database_url + "x"))
