"""Every request handed over becomes exactly one row, whatever the database is doing meanwhile."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.errors import LedgerError
from app.ledger.clock import DAY_US
from app.ledger.database import Database, open_database
from app.ledger.reports import RequestFilter, count_requests, get_request, usage_by
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, entry
from tests.ledger.locking import lock

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]


@contextlib.asynccontextmanager
async def writing(database: Database, **options: Any) -> Any:
    writer = LedgerWriter(database, **options)
    writer.start()
    yield writer
    await writer.stop()


async def scalar(database: Database, sql: str) -> Any:
    return await database.read(lambda connection: connection.exec_driver_sql(sql).scalar())


FULL = entry(
    flags=("price_by_base", "key_mismatch"),
    streamed=True,
    status=None,
    outcome=Outcome.INTERRUPTED,
    error_code="x",
    error_source="provider",
    input_tokens=1,
    cache_read_input_tokens=2,
    cache_write_5m_input_tokens=3,
    cache_write_1h_input_tokens=4,
    output_tokens=5,
    reasoning_tokens=6,
    input_audio_tokens=7,
    output_audio_tokens=8,
    usage_json='{"prompt_tokens":1,"completion_tokens":5,"model":"gpt-4o-2024-08-06","service_tier":"flex"}',
    usage_source=UsageSource.ESTIMATED,
    service_tier="flex",
    cost_picousd=2**63 - 1,
    price_entry="overrides:x/y@always",
    feature="chat",
    task="extraction",
    prompt_bytes=77,
    used=("tools", "images"),
    provider_request_id="req_1",
)
BARE = entry(
    T0 + 1_234_567,
    provider=None,
    detected_by=None,
    request_model=None,
    response_model=None,
    ttfb_ms=None,
    input_tokens=None,
    output_tokens=None,
    usage_source=UsageSource.NONE,
    cost_picousd=None,
    cost_reason=CostReason.NO_USAGE,
    price_entry=None,
)


@pytest.mark.parametrize("given", [FULL, BARE, entry(billable=False, cost_picousd=0)])
async def test_a_row_comes_back_as_it_was_handed_over(database: Database, given: LedgerEntry) -> None:
    async with writing(database) as writer:
        await writer.hand_over(given)
    assert await get_request(database, given.id) == given


async def test_an_id_that_comes_twice_is_one_row_and_counted_once(database: Database) -> None:
    first, second = entry(), entry(T0 + 5_000_000)
    async with writing(database) as writer:
        await asyncio.gather(writer.hand_over(first), writer.hand_over(first))
        await asyncio.gather(writer.hand_over(first), writer.hand_over(second))
    report = await usage_by(database, "model")
    assert report.total.requests == 2
    assert await scalar(database, "SELECT count(*) FROM requests") == 2
    assert await verify_rollup(database) == []


async def test_no_text_is_refused(database: Database) -> None:
    odd = "\0a\ud800b\U0001f600" + "x" * 400
    given = entry(request_model=odd, feature=odd, task=odd, error_code=odd, provider_request_id=odd, usage_json=odd)
    async with writing(database) as writer:
        await writer.hand_over(given)
    row = await get_request(database, given.id)
    assert row.request_model == ("a\ufffdb\U0001f600" + "x" * 400)[:200]
    assert row.feature == ("a\ufffdb\U0001f600" + "x" * 400)[:100]
    assert row.provider_request_id is not None
    assert len(row.provider_request_id) == 200


async def test_a_row_that_cannot_be_is_parked_and_its_neighbours_are_written(database: Database) -> None:
    entries = [entry(T0 + number * 1000) for number in range(9)]
    entries[4].cost_picousd = 2**63
    entries[7].id = "no id at all"
    async with writing(database) as writer:
        await asyncio.gather(*(writer.hand_over(one) for one in entries))
        counters = writer.counters
    assert (counters.written, counters.parked, counters.lost, counters.waiting) == (7, 2, 0, 0)
    assert await scalar(database, "SELECT count(*) FROM requests") == 7
    assert "no id at all" in await scalar(database, "SELECT entry FROM ledger_parked ORDER BY id LIMIT 1")
    assert await verify_rollup(database) == []


async def test_a_locked_database_holds_nobody_up_and_loses_nothing(database: Database, settings: Settings) -> None:
    free = await lock(database, settings)
    async with writing(database) as writer:
        before = time.monotonic()
        futures = [writer.hand_over(entry(T0 + number * 1000)) for number in range(300)]
        assert time.monotonic() - before < 0.5
        longest, until = 0.0, time.monotonic() + 3
        while time.monotonic() < until:
            tick = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - tick)
        assert not any(future.done() for future in futures)
        assert writer.counters.oldest_waiting_s > 2.5
        assert longest < 0.5, "the event loop stood still while the database was locked"
        await free()
        await asyncio.wait_for(asyncio.gather(*futures), 15)
    assert await count_requests(database, RequestFilter()) == 300
    assert await verify_rollup(database) == []


async def test_stop_writes_what_waits(database: Database) -> None:
    async with writing(database) as writer:
        futures = [writer.hand_over(entry(T0 + number * 1000)) for number in range(1200)]
    assert all(future.done() and future.error is None for future in futures)
    assert await count_requests(database, RequestFilter()) == 1200


async def test_too_many_waiting_rows_push_out_the_oldest_and_say_so(database: Database) -> None:
    writer = LedgerWriter(database, max_waiting=10)
    futures = [writer.hand_over(entry(T0 + number * 1000)) for number in range(13)]
    assert writer.counters.lost == 3
    assert isinstance(futures[0].error, LedgerError)
    writer.start()
    await writer.stop()
    assert [future.error is None for future in futures] == [False] * 3 + [True] * 10
    assert await count_requests(database, RequestFilter()) == 10


async def test_a_caller_that_is_cancelled_leaves_its_row_behind(database: Database) -> None:
    given = entry()
    async with writing(database) as writer:

        async def request() -> None:
            await writer.hand_over(given)

        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (await get_request(database, given.id)).id == given.id


@pytest.mark.sqlite_only
async def test_a_deleted_file_is_noticed_and_made_anew(database: Database) -> None:
    assert database.path is not None
    async with writing(database) as writer:
        await writer.hand_over(entry())
        database.path.unlink()
        late = entry(T0 + 1000)
        await writer.hand_over(late)
    assert database.path.exists()
    assert (await get_request(database, late.id)).id == late.id
    assert await verify_rollup(database) == []


CHILD = """
import asyncio, os, random, sys
from pathlib import Path
from app.ledger.database import open_database
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, realistic

async def main(folder, seed, count):
    database = await open_database(Settings(data_dir=Path(folder), database_url=os.environ["DATABASE_URL"]))
    writer = LedgerWriter(database)
    writer.start()
    rng = random.Random(seed)
    number = 0
    while count == 0 or number < count:
        some = [realistic(T0 + (number + n) * 60_000_000, rng) for n in range(50)]
        number += 50
        futures = [writer.hand_over(one) for one in some]
        await asyncio.gather(*futures)
        for one in some:
            print(one.id, flush=False)
        sys.stdout.flush()
    await writer.stop()
    await database.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


async def child(settings: Settings, seed: int, count: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(settings.data_dir), str(seed), str(count)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": settings.database_url},
    )


async def test_kill_9_keeps_every_confirmed_row_and_sums_equal_rows(settings: Settings) -> None:
    confirmed: list[str] = []
    for seed in range(3):
        process = await child(settings, seed, 0)
        assert process.stdout is not None
        while len(confirmed) < 400 * (seed + 1):
            confirmed.append((await process.stdout.readline()).decode().strip())
        os.kill(process.pid, signal.SIGKILL)
        rest = (await process.stdout.read()).decode()
        confirmed += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        await process.wait()
    database = await open_database(settings)
    for id in confirmed:
        assert (await get_request(database, id.strip())).id == id.strip()
    assert await verify_rollup(database) == []
    if database.dialect == "sqlite":
        assert await scalar(database, "PRAGMA integrity_check") == "ok"
    await database.close()


async def test_two_processes_write_one_ledger(settings: Settings) -> None:
    children = [await child(settings, seed, 1000) for seed in (11, 12)]
    printed = [(await process.communicate())[0] for process in children]
    assert [process.returncode for process in children] == [0, 0]
    database = await open_database(settings)
    assert len(set(b"".join(printed).split())) == 2000
    assert await count_requests(database, RequestFilter()) == 2000
    assert await verify_rollup(database) == []
    await database.close()


@pytest.mark.sqlite_only
async def test_one_process_at_a_time_moves_the_log_into_the_file(settings: Settings, tmp_path: Path) -> None:
    first = await open_database(settings)
    second = await open_database(settings)

    def pages(connection: Any) -> Any:
        return connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()

    assert await first.write(pages) > 0
    assert await second.write(pages) == 0
    await first.close()
    assert await second.write(pages) > 0
    await second.close()


async def test_a_row_of_another_day_counts_on_that_day(database: Database) -> None:
    async with writing(database) as writer:
        await writer.hand_over(entry(T0 + DAY_US - 1))
        await writer.hand_over(entry(T0 + DAY_US))
    report = await usage_by(database, "day")
    assert [(row.group, row.requests) for row in report.rows] == [("2026-02-16", 1), ("2026-02-17", 1)]


async def test_a_fault_that_nobody_foresaw_does_not_end_the_writing(database: Database) -> None:
    writer = LedgerWriter(database)
    write = writer._write
    faults = [RuntimeError("on purpose")]

    async def broken(batch: Any) -> None:
        if faults:
            raise faults.pop()
        await write(batch)

    writer._write = broken  # type: ignore[method-assign]
    writer.start()
    handed = [writer.hand_over(entry(T0 + number * 1000)) for number in range(3)]
    async with asyncio.timeout(20):
        await asyncio.gather(*handed)
    await writer.stop()
    assert await count_requests(database, RequestFilter()) == 3
