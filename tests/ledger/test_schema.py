"""The schema is the same whichever way it came about, and a file that cannot be served says why."""

import asyncio
import contextlib
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from app.errors import LedgerError
from app.ledger.database import open_database
from app.ledger.migrate import migration_config
from app.ledger.schema import HEAD, REVISIONS, create_tables, schema_version
from app.settings import Settings

pytestmark = pytest.mark.anyio

OPENER = """
import asyncio, sys
from pathlib import Path
from app.ledger.database import open_database
from app.settings import Settings

async def main():
    database = await open_database(Settings(data_dir=Path(sys.argv[1])))
    await database.close()

asyncio.run(main())
"""


def described(path: Path) -> dict[str, object]:
    """Every table with its columns, keys and indexes, without the spelling of the SQL."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, object] = {}
        for table in tables:
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
            keyed = sorted(
                (row[2], tuple(part[2] for part in connection.execute(f"PRAGMA index_info({row[1]})")))
                for row in indexes
            )
            without_rowid = connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()
            found[table] = (columns, keyed, without_rowid)
        return found


def test_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    create_tables(fresh)
    subprocess.run([sys.executable, "-m", "app.ledger.migrate", str(migrated)], check=True, timeout=60)
    assert described(fresh) == described(migrated)
    assert schema_version(fresh) == schema_version(migrated) == HEAD
    with contextlib.closing(sqlite3.connect(migrated)) as connection:
        assert connection.execute("SELECT id, zone, built_from_day FROM calendars").fetchall() == [(0, "UTC", 0)]
        assert sorted(row[0] for row in connection.execute("SELECT kind FROM changes")) == ["keys", "team"]


def test_the_code_knows_every_revision() -> None:
    scripts = ScriptDirectory.from_config(migration_config(Path("unused.db")))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


async def test_an_older_file_is_migrated_by_a_child(settings: Settings) -> None:
    settings.data_dir.mkdir()
    with contextlib.closing(sqlite3.connect(settings.data_dir / "lectr.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.commit()
    database = await open_database(settings)
    await database.close()
    assert schema_version(settings.data_dir / "lectr.db") == HEAD


async def test_a_newer_file_is_served_unless_it_says_it_cannot_be(settings: Settings) -> None:
    await (await open_database(settings)).close()
    path = settings.data_dir / "lectr.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'm9999'")
        connection.commit()
        await (await open_database(settings)).close()
        connection.execute("UPDATE schema_info SET value = 'm9999' WHERE name = 'oldest_code'")
        connection.commit()
    with pytest.raises(LedgerError, match="newer Lectr"):
        await open_database(settings)


async def test_folder_and_files_are_private(settings: Settings) -> None:
    database = await open_database(settings)
    await database.write(lambda connection: connection.exec_driver_sql("DELETE FROM keys"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in settings.data_dir.iterdir()}
    await database.close()
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert {"lectr.db", "lectr.db-wal", "lectr.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}, modes


async def test_what_is_no_database_is_named(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "lectr.db").write_bytes(b"this is a letter to my aunt" * 100)
    with pytest.raises(LedgerError, match="damaged or no Lectr database"):
        await open_database(settings)


async def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="LECTR_DATA_DIR"):
        await open_database(Settings(data_dir=tmp_path / "file" / "data"))


async def test_another_kind_of_database_is_refused_with_what_to_write(tmp_path: Path) -> None:
    for url in ("mysql://u:secret@db/x", "u:secret@db/x"):
        with pytest.raises(LedgerError, match="sqlite:////") as refused:
            await open_database(Settings(data_dir=tmp_path, database_url=url))
        assert "secret" not in str(refused.value)
    database = await open_database(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/other/l.db"))
    assert database.path == tmp_path / "other" / "l.db"
    await database.close()


async def test_many_openers_of_a_new_file_take_turns(settings: Settings) -> None:
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", OPENER, str(settings.data_dir)) for _ in range(4)
    ]
    assert [await child.wait() for child in children] == [0, 0, 0, 0]


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """As text a URL ends at a question mark: tables went into another file, and every write failed."""
    folder = tmp_path / "a?b=c#d%e"
    folder.mkdir()
    path = folder / "lectr.db"
    await asyncio.to_thread(command.upgrade, migration_config(path), REVISIONS[0])
    database = await open_database(Settings(data_dir=folder))
    try:
        for read in (database.read, database.read_at_length):
            assert await read(lambda connection: connection.exec_driver_sql("SELECT 1 FROM requests").first()) is None
    finally:
        await database.close()
    assert [child.name for child in tmp_path.iterdir()] == [folder.name]
    assert schema_version(path) == HEAD
