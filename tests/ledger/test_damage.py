"""A damaged database is found, set aside and replaced; keys, users, settings and readable rows are kept."""

import asyncio
import contextlib
import random
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.errors import LedgerError
from app.ledger.damage import find_damage, is_damage
from app.ledger.damaged_rows import DamagedRows
from app.ledger.database import Database, open_database
from app.ledger.essentials import copy_of, keep_copy, read_essentials, salvage
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.reports import RequestFilter, count_requests
from app.ledger.setting_aside import set_aside_files
from app.ledger.team import TeamStore
from app.ledger.users import UserStore
from app.ledger.verify import verify_rollup
from app.settings import Settings
from tests.ledger.builders import T0, entry, realistic

pytestmark = pytest.mark.anyio

PAGE = 4096
ROWS = 1500


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def made(count: int = ROWS) -> list[LedgerEntry]:
    rng = random.Random(9)
    return [realistic(T0 + number * 60_000_000, rng) for number in range(count)]


async def filled(settings: Settings, *, copied: bool = True) -> str:
    """A ledger with rows, two keys (one revoked), a user and a zone; returns the living key's secret."""
    database = await open_database(settings)
    await insert_many(database, made())
    keys = KeyStore(database)
    secret, _ = await keys.create("program")
    await keys.create("gone")
    await keys.revoke("gone")
    await UserStore(database).create("ada", "a long password")
    team = TeamStore(database)
    await team.load()
    await team.set("reporting_zone", "Asia/Tokyo")
    if copied:
        assert database.path is not None
        keep_copy(database.path, await database.read(read_essentials))
    await database.close()
    return secret


def page_of(path: Path, table: str) -> int:
    """Where the first page of a small table or index begins."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return (int(row[0]) - 1) * PAGE


def spoil(path: Path, at: int, seed: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(random.Random(seed).randbytes(PAGE))


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    database = await open_database(settings, mends=True, look_s=30)
    yield database
    await database.close()


async def has_what_it_had(database: Database, secret: str) -> bool:
    keys, team = KeyStore(database), TeamStore(database)
    await keys.load()
    await team.load()
    names = {row.name: row.revoked_at_us is not None for row in await keys.list()}
    users = [user.name for user in await UserStore(database).list()]
    return (
        keys.find(secret) is not None
        and names == {"program": False, "gone": True}
        and users == ["ada"]
        and team.values.reporting_zone == "Asia/Tokyo"
    )


@pytest.mark.parametrize("where", ["header", "keys", "users", "team_values", "groups", "requests"])
async def test_a_damaged_page_costs_no_key_user_or_setting(settings: Settings, where: str) -> None:
    secret = await filled(settings)
    path = settings.data_dir / "lectr.db"
    spoil(path, 0 if where == "header" else page_of(path, where))
    async with opened(settings) as database:
        assert await has_what_it_had(database, secret)
        assert await count_requests(database, RequestFilter()) == 0
        [report] = set_aside_files(path)
        assert report.saved["keys"] == 2
        assert (settings.data_dir / report.file).exists()
        assert ("keys" in report.incomplete) == (where in ("header", "keys"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in settings.data_dir.iterdir()} == {0o600}


async def test_without_a_copy_what_can_be_read_is_kept_and_the_rest_is_named(settings: Settings) -> None:
    secret = await filled(settings, copied=False)
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "users"))
    async with opened(settings) as database:
        keys = KeyStore(database)
        await keys.load()
        assert keys.find(secret) is not None
        assert await UserStore(database).count() == 0
    [report] = set_aside_files(path)
    assert report.incomplete == ["users"]


async def test_a_key_deleted_since_the_copy_was_made_does_not_come_back(settings: Settings) -> None:
    await filled(settings)
    database = await open_database(settings)
    await database.write(lambda connection: connection.exec_driver_sql("DELETE FROM users"))
    await database.close()
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "groups"))
    async with opened(settings) as database:
        assert await UserStore(database).count() == 0


async def test_rows_around_the_damage_are_read(settings: Settings) -> None:
    await filled(settings)
    path = settings.data_dir / "lectr.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "SELECT (pageno - 1) * 4096 FROM dbstat WHERE name = 'requests' AND pagetype = 'leaf'"
        try:
            leaves = [row[0] for row in connection.execute(query)]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite was built without dbstat")
    spoil(path, leaves[len(leaves) // 2])
    rows = DamagedRows(path)
    found = {row.id for chunk in rows.chunks(T0 + 90 * 86_400_000_000) for row in rows.entries(chunk)}
    rows.close()
    assert rows.gaps > 0
    lost = ROWS - len(found)
    assert 0 < lost <= ROWS / len(leaves) * 3
    assert found < {entry.id for entry in made()}


async def test_days_without_rows_are_not_searched_one_by_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_us = 86_400_000_000
    database = await open_database(settings)
    await insert_many(database, [entry(T0 + number * day_us) for number in (0, 1, 400, 401)])
    await database.close()
    searches = []
    fetch = DamagedRows._fetch

    def counted(rows: DamagedRows, first: int, end: int, *, descending: bool) -> Any:
        searches.append(first)
        return fetch(rows, first, end, descending=descending)

    monkeypatch.setattr(DamagedRows, "_fetch", counted)
    rows = DamagedRows(settings.data_dir / "lectr.db")
    found = [row.started_at_us for chunk in rows.chunks(T0 + 900 * day_us) for row in rows.entries(chunk)]
    rows.close()
    assert found == [T0 + number * day_us for number in (401, 400, 1, 0)]
    assert len(searches) < 12


async def test_a_file_that_can_no_longer_be_searched_is_given_up(settings: Settings) -> None:
    await filled(settings)
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "requests"))
    rows = DamagedRows(path)
    assert not any(rows.chunks(T0 + 86_400_000_000))
    rows.close()
    assert rows.gaps > 0


async def test_damage_met_while_running_is_mended_before_the_next_write(settings: Settings) -> None:
    secret = await filled(settings)
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "groups"))
    database = await open_database(settings)
    with pytest.raises(LedgerError) as caught:
        await database.read(
            lambda connection: connection.execute(sa.text("SELECT max(length(model)) FROM groups")).all()
        )
    assert is_damage(caught.value)
    await insert_many(database, made(10))
    assert database.epoch == 1
    assert await count_requests(database, RequestFilter()) == 10
    assert await has_what_it_had(database, secret)
    assert await verify_rollup(database) == []
    await database.close()


async def test_a_suspicion_that_proves_wrong_replaces_nothing(settings: Settings) -> None:
    await filled(settings)
    database = await open_database(settings)
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    database._engines.failed(error)
    assert database.file_is_gone
    await insert_many(database, made(ROWS + 1))
    assert not database.file_is_gone
    assert database.epoch == 0
    assert await count_requests(database, RequestFilter()) == ROWS + 1
    await database.close()
    assert set_aside_files(settings.data_dir / "lectr.db") == []


async def test_two_processes_replace_a_damaged_file_once(settings: Settings) -> None:
    secret = await filled(settings)
    path = settings.data_dir / "lectr.db"
    first, second = await open_database(settings), await open_database(settings)
    spoil(path, page_of(path, "groups"))
    for database in (first, second):
        database._engines.failed(_damage())
    await asyncio.gather(*(insert_many(database, made(5)) for database in (first, second)))
    assert len(set_aside_files(path)) == 1
    for database in (first, second):
        assert await has_what_it_had(database, secret)
        assert await count_requests(database, RequestFilter()) == 5
        await database.close()


def _damage() -> sqlite3.Error:
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


@pytest.mark.parametrize("emptied", [False, True])
async def test_a_lost_file_gets_keys_users_and_settings_back(settings: Settings, emptied: bool) -> None:
    secret = await filled(settings)
    path = settings.data_dir / "lectr.db"
    path.unlink()
    if emptied:
        path.touch()
    database = await open_database(settings)
    assert await has_what_it_had(database, secret)
    await database.close()


async def test_a_command_leaves_a_damaged_file_to_the_server(settings: Settings) -> None:
    await filled(settings)
    path = settings.data_dir / "lectr.db"
    spoil(path, 0)
    with pytest.raises(LedgerError, match="damaged"):
        await open_database(settings)
    assert set_aside_files(path) == []


async def test_a_look_ends_in_time_and_says_nothing_then(settings: Settings) -> None:
    await filled(settings)
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "groups"))
    assert find_damage(path) is not None
    assert find_damage(path, within_s=0.0) in (None, find_damage(path))


async def test_a_broken_copy_is_no_copy(settings: Settings) -> None:
    await filled(settings)
    path = settings.data_dir / "lectr.db"
    copy_of(path).write_bytes(b"\xc1 nothing")
    spoil(path, page_of(path, "keys"))
    async with opened(settings) as database:
        assert await KeyStore(database).list() == []


async def test_salvage_of_a_whole_file_misses_nothing(settings: Settings) -> None:
    await filled(settings)
    found = salvage(settings.data_dir / "lectr.db")
    assert found.incomplete == []
    assert [row["name"] for row in found.rows["keys"]] == ["program", "gone"]
