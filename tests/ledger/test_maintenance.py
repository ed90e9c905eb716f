"""Backups are whole while requests go on, only a whole ledger is restored, and new prices leave a trace."""

import asyncio
import random
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from app.domain import CostReason
from app.errors import LedgerError
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.maintenance import backup, is_empty, ledger_counts, restore
from app.ledger.reports import RequestFilter, count_requests, get_request, list_requests, usage_by
from app.ledger.reprice import Repriced, apply_reprice, rows_to_reprice
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, entry, realistic

pytestmark = pytest.mark.anyio


async def filled(settings: Settings, count: int = 300) -> Database:
    database = await open_database(settings)
    rng = random.Random(9)
    await insert_many(database, [realistic(T0 + number * 60_000_000, rng) for number in range(count)])
    return database


async def test_a_backup_taken_under_load_is_whole_and_private(settings: Settings, tmp_path: Path) -> None:
    database = await filled(settings)
    writer = LedgerWriter(database)
    writer.start()

    async def requests() -> None:
        for number in range(200):
            await writer.hand_over(entry(T0 + number * 1000))

    traffic = asyncio.create_task(requests())
    await asyncio.sleep(0.02)
    await backup(database, tmp_path / "copy.db")
    await traffic
    await writer.stop()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with pytest.raises(LedgerError, match="exists already"):
        await backup(database, tmp_path / "copy.db")
    with pytest.raises(LedgerError, match="could not be written"):
        await backup(database, tmp_path / "nowhere" / "copy.db")
    await database.close()
    counts, _ = await restore(tmp_path / "copy.db", settings)
    assert 300 <= counts.requests <= 500


async def test_restore_puts_back_rows_and_keys_and_keeps_what_was_there(settings: Settings, tmp_path: Path) -> None:
    database = await filled(settings)
    secret, _ = await KeyStore(database).create("a")
    await backup(database, tmp_path / "copy.db")
    await insert_many(database, [entry()])
    with pytest.raises(LedgerError, match="stop Lectr first"):
        await restore(tmp_path / "copy.db", settings)
    await database.close()
    counts, kept = await restore(tmp_path / "copy.db", settings)
    assert (counts.requests, counts.keys) == (300, 1)
    assert kept == settings.data_dir / "lectr.db.before-restore"
    database = await open_database(settings)
    keys = KeyStore(database)
    await keys.load()
    assert keys.find(secret) is not None
    assert await count_requests(database, RequestFilter()) == 300
    await database.close()
    names = {path.name for path in settings.data_dir.iterdir()}
    assert "lectr.db.before-restore" in names
    assert not [name for name in names if name.startswith(".restore")]
    assert stat.S_IMODE((settings.data_dir / "lectr.db").stat().st_mode) == 0o600
    _, second = await restore(tmp_path / "copy.db", settings)
    assert second == settings.data_dir / "lectr.db.before-restore-2"
    for file, rows in ((kept, 301), (second, 300)):
        before = sqlite3.connect(file)
        assert before.execute("SELECT count(*) FROM requests").fetchone() == (rows,), "the first is not written over"
        before.close()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8192])


def scribble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[40_000:60_000] = b"\xee" * 20_000
    file.write_bytes(content)


def change_a_sum(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE rollup SET requests = requests + 1")
    connection.close()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def letter(file: Path) -> None:
    file.write_text("dear aunt" * 1000)


@pytest.mark.parametrize("damage", [cut, scribble, change_a_sum, empty, letter, Path.unlink])
async def test_what_is_not_whole_is_not_restored(settings: Settings, tmp_path: Path, damage: Any) -> None:
    database = await filled(settings)
    await backup(database, tmp_path / "copy.db")
    await database.close()
    damage(tmp_path / "copy.db")
    with pytest.raises(LedgerError) as caught:
        await restore(tmp_path / "copy.db", settings)
    assert str(tmp_path / "copy.db") in str(caught.value)
    assert ".restore-" not in str(caught.value)
    database = await open_database(settings)
    assert await count_requests(database, RequestFilter()) == 300
    await database.close()


async def test_counts_say_what_the_tables_hold(settings: Settings) -> None:
    database = await open_database(settings)
    assert await is_empty(database)
    await database.close()
    database = await filled(settings)
    assert not await is_empty(database)
    counts = await ledger_counts(database)
    assert (counts.requests, counts.parked, counts.keys) == (300, 0, 0)
    assert counts.bytes > 100_000
    await database.close()


@pytest.mark.any_database
async def test_a_new_price_changes_row_sums_and_log_together(database: Database) -> None:
    unpriced = entry(cost_picousd=None, cost_reason=CostReason.UNKNOWN_MODEL, price_entry=None, flags=("x",))
    free = entry(T0 + 1000, billable=False, cost_picousd=0)
    priced = entry(T0 + 2000, cost_picousd=7)
    await insert_many(database, [unpriced, free, priced])
    found = [row.id async for rows in rows_to_reprice(database) for row in rows]
    assert found == [unpriced.id]
    every = [row.id async for rows in rows_to_reprice(database, everything=True) for row in rows]
    assert every == [priced.id, unpriced.id]
    change = Repriced(id=unpriced.id, cost_picousd=55, price_entry="overrides:a/b@always", flags=("price_by_base",))
    assert await apply_reprice(database, [change]) == 1
    assert await apply_reprice(database, [change]) == 0
    assert await apply_reprice(database, [Repriced(id=free.id, cost_picousd=9, price_entry="p")]) == 0
    row = await get_request(database, unpriced.id)
    assert (row.cost_picousd, row.cost_reason, row.price_entry) == (55, None, "overrides:a/b@always")
    assert row.flags == ("price_by_base",)
    total = (await usage_by(database, "model")).total
    assert (total.cost_picousd, total.unpriced_requests, total.priced_requests) == (62, 0, 2)
    assert await verify_rollup(database) == []
    log = await database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT old_cost_picousd, old_cost_reason, new_cost_picousd, new_price_entry FROM reprice_log"
        ).all()
    )
    assert [tuple(line) for line in log] == [(None, "unknown_model", 55, "overrides:a/b@always")]
    dearest = await list_requests(database, RequestFilter(), sort="cost", limit=1)
    assert dearest.entries[0].id == unpriced.id


async def test_repricing_goes_on_while_requests_come_in(settings: Settings) -> None:
    database = await filled(settings, 1500)
    writer = LedgerWriter(database)
    writer.start()

    async def requests() -> None:
        for number in range(200):
            await writer.hand_over(entry(T0 + number * 1000))

    traffic = asyncio.create_task(requests())
    async for rows in rows_to_reprice(database, everything=True):
        await apply_reprice(database, [Repriced(id=row.id, cost_picousd=1, price_entry="p") for row in rows])
    await traffic
    await writer.stop()
    assert await verify_rollup(database) == []
    await database.close()


async def test_a_full_disk_keeps_rows_waiting_until_there_is_room(settings: Settings) -> None:
    database = await open_database(settings)
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1"))
    writer = LedgerWriter(database)
    writer.start()
    rng = random.Random(2)
    futures = [writer.hand_over(realistic(T0 + number * 1_000_000, rng)) for number in range(2000)]
    await asyncio.sleep(1)
    counters = writer.counters
    assert counters.waiting > 0
    assert counters.parked == counters.lost == 0
    assert "full" in counters.last_error
    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1073741823"))
    await asyncio.wait_for(asyncio.gather(*futures), 20)
    await writer.stop()
    assert await count_requests(database, RequestFilter()) == 2000
    assert await verify_rollup(database) == []
    await database.close()
    shutil.rmtree(settings.data_dir)
