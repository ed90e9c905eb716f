"""The caretaker finds damage that nobody has met, keeps the copy of the small tables, and brings rows over."""

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.counters import Counters
from app.domain import LedgerEntry
from app.ledger import care as care_module
from app.ledger.care import Caretaker
from app.ledger.damage import _interrupting, find_damage
from app.ledger.damaged_rows import DamagedRows
from app.ledger.database import Database, open_database
from app.ledger.essentials import copy_of, read_copy
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.maintenance import backup
from app.ledger.reports import RequestFilter, count_requests
from app.ledger.setting_aside import replace_damaged, set_aside_files
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, realistic
from tests.ledger.test_damage import page_of, spoil

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TURN_S", "LOOK_EVERY_S", "COPY_EVERY_S", "CHECK_EVERY_S", "FIRST_CHECK_S"):
        monkeypatch.setattr(care_module, name, 0.02)
    monkeypatch.setattr(care_module, "CHECK_SHARE", 1)


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def cared(settings: Settings, counters: Counters | None = None) -> AsyncIterator[tuple[Database, Caretaker]]:
    database = await open_database(settings, mends=True)
    writer = LedgerWriter(database)
    care = Caretaker(database, writer.write_again, counters or Counters())
    writer.start()
    care.start()
    yield database, care
    await care.stop()
    await writer.stop()
    await database.close()


async def fill(database: Database, count: int = 1000) -> None:
    rng = random.Random(3)
    await insert_many(database, [realistic(T0 + number * 60_000_000, rng) for number in range(count)])


async def test_damage_that_no_statement_meets_is_found_and_the_rows_are_brought_over(settings: Settings) -> None:
    path = settings.data_dir / "lectr.db"
    async with cared(settings) as (database, care):
        await fill(database)
        secret, _ = await KeyStore(database).create("program")
        await until(lambda: copy_of(path).exists() and read_copy(path)["keys"] != [])
        await database.write(lambda connection: connection.exec_driver_sql("DELETE FROM sign_in_links"))
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoil(path, page_of(path, "requests_by_group"))
        await until(lambda: bool(care.figures.set_aside) and care.figures.set_aside[0].searched)
        [report] = care.figures.set_aside
        assert (report.rows, report.gaps) == (1000, 0)
        assert database.epoch == 1
        assert await count_requests(database, RequestFilter()) == 1000
        assert await verify_rollup(database) == []
        keys = KeyStore(database)
        await keys.load()
        assert keys.find(secret) is not None
        (settings.data_dir / report.file).unlink()
        await until(lambda: care.figures.set_aside == ())


async def test_a_file_that_another_process_set_aside_is_read_at_the_next_start(settings: Settings) -> None:
    path = settings.data_dir / "lectr.db"
    database = await open_database(settings)
    await fill(database, 300)
    await database.close()
    spoil(path, page_of(path, "sqlite_autoindex_groups_1"))
    assert replace_damaged(path)
    async with cared(settings) as (database, care):
        await until(lambda: bool(care.figures.set_aside) and care.figures.set_aside[0].searched)
        assert await count_requests(database, RequestFilter()) == 300
    [report] = set_aside_files(path)
    assert report.rows == 300


async def test_rows_that_the_spool_has_brought_back_are_not_written_again(settings: Settings) -> None:
    path = settings.data_dir / "lectr.db"
    first = await open_database(settings)
    await fill(first, 700)
    await first.close()
    spoil(path, page_of(path, "requests_by_group"))
    assert replace_damaged(path)
    written = []

    async def write(entries: Sequence[LedgerEntry]) -> None:
        written.append(len(entries))
        await insert_many(database, entries)

    database = await open_database(settings)
    await fill(database, 400)
    care = Caretaker(database, write, Counters())
    care.start()
    await until(lambda: bool(care.figures.set_aside) and care.figures.set_aside[0].searched)
    await care.stop()
    assert sum(written) == 300
    assert (care.figures.set_aside[0].rows, care.figures.set_aside[0].gaps) == (700, 0)
    assert await count_requests(database, RequestFilter()) == 700
    assert await verify_rollup(database) == []
    await database.close()


async def test_all_else_goes_on_while_a_damaged_file_is_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings.data_dir / "lectr.db"
    first = await open_database(settings)
    await fill(first, 300)
    await first.close()
    spoil(path, page_of(path, "requests_by_group"))
    assert replace_damaged(path)
    let_on = threading.Event()
    chunks = DamagedRows.chunks

    def slow(rows: DamagedRows, now_us: int) -> Iterator[list[Any]]:
        assert let_on.wait(30)
        yield from chunks(rows, now_us)

    monkeypatch.setattr(DamagedRows, "chunks", slow)
    async with cared(settings) as (database, care):
        await until(lambda: bool(care.figures.set_aside))
        assert not care.figures.set_aside[0].searched
        await KeyStore(database).create("new")
        await until(lambda: [key["name"] for key in read_copy(path).get("keys", [])] == ["new"])
        let_on.set()
        await until(lambda: care.figures.set_aside[0].searched)
        assert await count_requests(database, RequestFilter()) == 300


async def test_the_copy_follows_changes_and_not_the_times_of_last_use(settings: Settings) -> None:
    path = settings.data_dir / "lectr.db"
    async with cared(settings) as (database, _):
        keys = KeyStore(database)
        _, row = await keys.create("one")
        await until(lambda: [key["name"] for key in read_copy(path).get("keys", [])] == ["one"])
        written = copy_of(path).stat().st_mtime_ns
        keys.used(row.id, T0)
        await keys.flush_used()
        await asyncio.sleep(0.2)
        assert copy_of(path).stat().st_mtime_ns == written
        await keys.revoke("one")
        await until(lambda: read_copy(path)["keys"][0]["revoked_at_us"] is not None)


async def test_size_backup_and_check_are_told(settings: Settings, tmp_path: Path) -> None:
    async with cared(settings) as (database, care):
        await until(lambda: care.figures.checked_at_us is not None and care.figures.bytes is not None)
        assert care.figures.backup_at_us is None
        assert (care.figures.bytes or 0) > 100_000
        await backup(database, tmp_path / "copy.db")
        await until(lambda: care.figures.backup_at_us is not None)


async def test_a_spool_that_was_slow_is_told_for_a_while(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care_module, "SLOW_SHOWN_S", 0.5)
    counters = Counters()
    async with cared(settings, counters) as (_, care):
        assert not care.figures.slow
        counters.ledger_unconfirmed = 3
        await until(lambda: care.figures.slow)
        await until(lambda: not care.figures.slow)


async def test_care_goes_on_after_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def broken(*_values: object) -> list[object]:
        calls.append(1)
        raise RuntimeError("never seen before") if len(calls) == 1 else OSError(5, "Input/output error")

    monkeypatch.setattr(care_module, "set_aside_files", broken)
    async with cared(settings) as (_, care):
        await until(lambda: len(calls) > 3 and care.figures.checked_at_us is not None)


async def test_the_end_waits_for_no_look_through_a_large_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = threading.Event()

    def endless(_path: Path, ended: threading.Event) -> None:
        looking.set()
        assert ended.wait(30)

    monkeypatch.setattr(care_module, "find_damage", endless)
    async with cared(settings) as (_, _care):
        await until(looking.is_set)
        began = time.monotonic()
    assert time.monotonic() - began < 20


async def test_a_look_is_broken_off_when_the_process_ends(settings: Settings) -> None:
    async with cared(settings) as (database, _):
        await fill(database)
    ended = threading.Event()
    ended.set()
    path = settings.data_dir / "lectr.db"
    spoil(path, page_of(path, "requests_by_group"))
    assert find_damage(path) is not None
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        with pytest.raises(sqlite3.OperationalError, match="interrupted"), _interrupting(connection, 60, ended):
            connection.execute(forever).fetchone()
