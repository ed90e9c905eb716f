"""Getting to a PostgreSQL: what keeps Lectr out, whose database it is, its schema, TLS, sockets, poolers."""

import asyncio
import socket
import time
from pathlib import Path

import msgspec
import pytest
from alembic import command

from app.errors import LedgerAway, LedgerError
from app.ledger.database import open_database
from app.ledger.filters import RequestFilter
from app.ledger.keys import KeyStore
from app.ledger.migrate import migration_config
from app.ledger.postgres_line import connect
from app.ledger.postgres_url import read_postgres_url
from app.ledger.request_lists import count_requests
from app.ledger.schema import HEAD
from app.settings import Settings
from tests.postgres import PASSWORD, Cluster, cluster

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def server() -> Cluster:
    return cluster()


@pytest.fixture
def place(server: Cluster, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=server.url(server.make_database()))


@pytest.mark.parametrize(
    ("change", "said", "refused"),
    [
        (("/t", "/none"), "does not exist", True),
        (("://lectr:", "://lectr:wrong"), "password authentication failed", True),
        (("@127.0.0.1:", "@127.0.0.1:1"), "cannot be reached", False),
        (("@127.0.0.1:", "@nowhere.invalid:"), "cannot be reached", False),
        (("@127.0.0.1:", "@%2Fnowhere:"), "cannot be reached", False),
    ],
)
async def test_what_keeps_lectr_out_is_told_without_the_password(
    place: Settings, change: tuple[str, str], said: str, refused: bool
) -> None:
    if change[1].endswith(":1"):
        change = (place.database_url[place.database_url.index("@") : place.database_url.rindex("/")], "@127.0.0.1:1")
    broken = msgspec.structs.replace(place, database_url=change[1].join(place.database_url.rsplit(change[0], 1)))
    with pytest.raises(LedgerAway, match=said) as away:
        await open_database(broken)
    assert away.value.refused is refused
    assert "PostgreSQL lectr@" in str(away.value)
    assert PASSWORD not in str(away.value)
    assert "%23" not in str(away.value)


async def test_a_database_of_another_program_is_left_alone(server: Cluster, tmp_path: Path) -> None:
    name = server.make_database(empty=True)
    server.sql("CREATE TABLE users (id int)", name)
    with pytest.raises(LedgerError, match="tables that are not Lectr's \\(users\\)"):
        await open_database(Settings(data_dir=tmp_path, database_url=server.url(name)))
    server.sql("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('abc')", name)
    with pytest.raises(LedgerError, match="belongs to another program"):
        await open_database(Settings(data_dir=tmp_path, database_url=server.url(name)))
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname = 'requests'", name) == "0"
    server.sql("CREATE SCHEMA apart", name)
    url = server.url(name, query="?options=-csearch_path%3Dapart")
    database = await open_database(Settings(data_dir=tmp_path, database_url=url))
    assert await count_requests(database, RequestFilter()) == 0
    await database.close()


async def test_many_openers_of_an_empty_database_take_turns(server: Cluster, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=server.url(server.make_database(empty=True)))
    opened = await asyncio.gather(*(open_database(settings) for _ in range(4)))
    await asyncio.gather(*(KeyStore(database).create(f"k{number}") for number, database in enumerate(opened)))
    assert len(await KeyStore(opened[0]).list()) == 4
    for database in opened:
        await database.close()


async def test_an_older_schema_is_migrated_and_gets_the_tables_of_the_code(server: Cluster, tmp_path: Path) -> None:
    """Migrated from the first revision, the tables are those that a new database gets."""
    old, new = server.make_database(empty=True), server.make_database()
    await asyncio.to_thread(command.upgrade, migration_config(read_postgres_url(server.url(old))), "m0001")
    database = await open_database(Settings(data_dir=tmp_path, database_url=server.url(old)))
    await database.close()
    assert server.sql("SELECT version_num FROM alembic_version", old) == HEAD
    columns = (
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    indexes = (
        "SELECT tablename, indexdef FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2"
    )
    for question in (columns, indexes):
        assert server.sql(question, old) == server.sql(question, new)


async def test_no_prepared_statement_is_left_on_the_server(place: Settings) -> None:
    """A pooler gives each transaction another server, which would not know it."""
    database = await open_database(place)
    await KeyStore(database).create("program")
    question = "SELECT count(*) FROM pg_prepared_statements"
    for asked in (database.read, database.write, database.read_at_length):
        for _ in range(3):
            assert await asked(lambda connection: connection.exec_driver_sql(question).scalar_one()) == 0
    await database.close()


@pytest.mark.parametrize(
    ("query", "encrypted"),
    [("?sslmode=disable", "f"), ("?sslmode=require", "t"), ("?sslmode=prefer", "t"), ("", "t"), ("?ssl=true", "t")],
)
async def test_tls_is_used_as_asked(server: Cluster, tmp_path: Path, query: str, encrypted: str) -> None:
    url = server.url(server.make_database(), query=query)
    database = await open_database(Settings(data_dir=tmp_path, database_url=url))
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    found = await database.read(lambda connection: connection.exec_driver_sql(question).scalar_one())
    assert str(found).lower()[0] == encrypted
    await database.close()


async def test_a_server_proves_itself_where_that_is_asked(server: Cluster, tmp_path: Path) -> None:
    name = server.make_database()
    known = f"sslrootcert={server.certificate}"
    for host, query, reached in (
        ("localhost", f"?sslmode=verify-full&{known}", True),
        ("127.0.0.1", f"?sslmode=verify-full&{known}", False),
        ("127.0.0.1", f"?sslmode=verify-ca&{known}", True),
        ("localhost", "?sslmode=verify-full", False),
        ("localhost", "?sslmode=require&channel_binding=require", False),
    ):
        settings = Settings(data_dir=tmp_path, database_url=server.url(name, host=host, query=query))
        if reached:
            await (await open_database(settings)).close()
        else:
            with pytest.raises(LedgerAway, match="certificate"):
                await open_database(settings)


async def test_a_server_that_falls_silent_is_noticed_within_half_a_minute(place: Settings) -> None:
    connection = await connect(read_postgres_url(place.database_url))
    line = connection._transport.get_extra_info("socket")
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, pause, times = (
        line.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + pause * times <= 30
    assert 0 < line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
    await connection.close()


async def test_a_server_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgres://u:secret@127.0.0.1:{silent.getsockname()[1]}/d"
        began = time.monotonic()
        with pytest.raises(LedgerAway, match="no answer in time"):
            await open_database(Settings(data_dir=tmp_path, database_url=url))
        assert time.monotonic() - began < 15


async def test_a_socket_is_a_host_too(server: Cluster, tmp_path: Path) -> None:
    name = server.make_database()
    for url in (
        f"postgresql:///{name}?host={server.folder}&port={server.port}&user=lectr",
        f"postgres://lectr@{str(server.folder).replace('/', '%2F')}:{server.port}/{name}",
        f"postgresql+asyncpg://lectr@/{name}?host={server.folder}&port={server.port}",
    ):
        database = await open_database(Settings(data_dir=tmp_path, database_url=url))
        assert await count_requests(database, RequestFilter()) == 0
        await database.close()
