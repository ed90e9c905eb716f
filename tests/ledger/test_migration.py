"""A migration that is killed at any statement can be run again, leaves a copy behind, and old code serves new files."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from alembic import command

from app.domain import LedgerEntry
from app.errors import LedgerError
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.migrate import migration_config
from app.ledger.reports import RequestFilter, count_requests, get_request
from app.ledger.schema import HEAD, REVISIONS, schema_version
from app.ledger.started import Started
from app.ledger.users import UserStore
from app.ledger.verify import verify_rollup
from app.settings import Settings
from tests.ledger.builders import T0, entry

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def old_file(path: Path) -> None:
    """A file of the first schema with a user in it, as an old release left it."""
    command.upgrade(migration_config(path), REVISIONS[0])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO users (name, password, role, created_at_us) VALUES ('ada', 'x', 'admin', 1)")
        connection.commit()


async def test_killed_at_every_statement_it_can_be_run_again(tmp_path: Path) -> None:
    original = tmp_path / "original.db"
    old_file(original)
    tried = tmp_path / "tried"
    tried.mkdir()
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "tests.ledger.killed_migration", str(original), str(tried)]
    told = subprocess.run(arguments, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    statements = int(told.stdout)
    assert statements > len(REVISIONS) * 3
    for number in range(1, statements + 1):
        path = tried / f"{number}.db"
        assert schema_version(path) in (REVISIONS[0], HEAD)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # Each is opened as a server would; that takes a second, so not every one of them.
    for number in (1, statements // 2, statements - 1):
        database = await open_database(Settings(database_url=f"sqlite:///{tried}/{number}.db"))
        assert await UserStore(database).count() == 1
        await insert_many(database, [entry()])
        assert await verify_rollup(database) == []
        await database.close()


async def test_a_copy_is_made_before_a_file_is_migrated(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / "lectr.db"
    old_file(path)
    await (await open_database(settings)).close()
    copy = settings.data_dir / "backups" / f"lectr-before-{HEAD}.db"
    assert schema_version(path) == HEAD
    assert schema_version(copy) == REVISIONS[0]
    assert copy.stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("ada",)]


async def test_without_room_for_the_copy_nothing_is_migrated(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / "lectr.db"
    old_file(path)
    (settings.data_dir / "backups").write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match=r"could not be written to .*backups"):
        await open_database(settings)
    assert schema_version(path) == REVISIONS[0]


async def test_a_migration_that_fails_says_why_and_changes_nothing(settings: Settings) -> None:
    settings.data_dir.mkdir()
    path = settings.data_dir / "lectr.db"
    old_file(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE advice_cells (id INTEGER)")
    with pytest.raises(LedgerError, match=r"table advice_cells already exists; the file is as it was before") as caught:
        await open_database(settings)
    assert "sqlalche.me" not in str(caught.value)
    assert schema_version(path) == REVISIONS[0]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        # The tables made before the one that failed are gone with it.
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'advice_days'").fetchone() is None


async def test_this_version_serves_the_database_of_a_later_one(settings: Settings) -> None:
    await (await open_database(settings)).close()
    path = settings.data_dir / "lectr.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tomorrow (id INTEGER PRIMARY KEY)")
        for table in ("requests", "groups", "details", "rollup", "facet_sums", "keys", "users", "sessions"):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN tomorrow TEXT")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN more INTEGER NOT NULL DEFAULT 7")
        connection.execute("UPDATE alembic_version SET version_num = 'm9999'")
        connection.commit()
    database = await open_database(settings)
    rows = [entry(T0 + number * 1000) for number in range(20)]
    assert await insert_many(database, rows) == 20
    assert await get_request(database, rows[3].id) == rows[3]
    assert await count_requests(database, RequestFilter(model="gpt-4o")) == 20
    secret, _ = await KeyStore(database).create("program")
    keys = KeyStore(database)
    await keys.load()
    assert keys.find(secret) is not None
    assert await verify_rollup(database) == []
    await database.close()
    assert schema_version(path) == "m9999"


async def test_a_contracting_release_is_refused_with_the_way_back(settings: Settings) -> None:
    await (await open_database(settings)).close()
    with contextlib.closing(sqlite3.connect(settings.data_dir / "lectr.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'm9999'")
        connection.execute("UPDATE schema_info SET value = 'm9999' WHERE name = 'oldest_code'")
        connection.commit()
    with pytest.raises(LedgerError, match=r"lectr restore .*backups/lectr-before-m9999\.db"):
        await open_database(settings)


def test_records_of_the_spool_may_have_fields_of_another_version() -> None:
    one = entry()
    record = msgspec.msgpack.decode(msgspec.msgpack.encode(one))
    later = msgspec.msgpack.encode(record | {"tomorrow": [1, 2]})
    assert msgspec.msgpack.decode(later, type=LedgerEntry) == one
    begun = msgspec.msgpack.encode({"id": one.id, "started_at_us": 1, "key": "a", "endpoint": "chat.completions"})
    assert msgspec.msgpack.decode(begun, type=Started).key == "a"
