"""The writer with its spool: rows outlive the process, the database and a memory that is full."""

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain import LedgerEntry, Outcome
from app.ledger.database import Database, open_database
from app.ledger.filters import RequestFilter
from app.ledger.journal import Journal
from app.ledger.keys import KeyStore
from app.ledger.request_lists import count_requests, get_request
from app.ledger.spool_files import DONE, LIVE, PARKED, SegmentFile, segments
from app.ledger.spool_format import END, START, frame
from app.ledger.started import Started
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, entry
from tests.ledger.locking import lock

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]


def interrupted(started: Started) -> LedgerEntry:
    return entry(started.started_at_us, id=started.id, outcome=Outcome.INTERRUPTED, status=None, input_tokens=7)


def started(of: LedgerEntry) -> Started:
    return Started(id=of.id, started_at_us=of.started_at_us, key=of.key, endpoint=of.endpoint)


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.data_dir / "spool"


@contextlib.asynccontextmanager
async def writing(database: Database, folder: Path, **options: Any) -> AsyncIterator[LedgerWriter]:
    writer = LedgerWriter(database, journal=Journal(folder, database, interrupted, tend_s=0.02), **options)
    writer.start()
    yield writer
    await writer.stop()


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


def leave(folder: Path, *records: bytes, name: str = "dead-000001") -> None:
    """A segment of a process that is gone."""
    segment = SegmentFile.create(folder, name, 65536)
    segment.write(b"".join(records))
    segment.close()


def begun(of: LedgerEntry) -> bytes:
    return frame(START, msgspec.msgpack.encode(started(of)))


def ended(of: LedgerEntry) -> bytes:
    return frame(END, msgspec.msgpack.encode(of))


async def test_rows_are_confirmed_while_the_database_is_locked_and_written_afterwards(
    database: Database, settings: Settings, folder: Path
) -> None:
    async with writing(database, folder) as writer:
        free = await lock(database, settings)
        async with asyncio.timeout(1):
            await asyncio.gather(*(writer.hand_over(entry(T0 + number * 1000)) for number in range(100)))
        assert writer.counters.waiting == 100
        await free()
        await until(lambda: writer.counters.written == 100)
    assert await count_requests(database, RequestFilter()) == 100
    assert segments(folder, LIVE) == []


async def test_rows_beyond_memory_come_back_from_the_spool(
    database: Database, settings: Settings, folder: Path
) -> None:
    free = await lock(database, settings)
    async with writing(database, folder, max_waiting=10) as writer:
        for number in range(200):
            await writer.hand_over(entry(T0 + number * 1000))
        assert writer.counters.lost == 0
        assert writer.counters.waiting == 200
        await free()
        await until(lambda: writer.counters.written == 200)
        assert writer.counters.waiting == writer.counters.lost == 0
    assert await count_requests(database, RequestFilter()) == 200
    assert await verify_rollup(database) == []
    assert segments(folder, LIVE) == []


async def test_what_a_dead_process_left_becomes_rows(database: Database, folder: Path) -> None:
    whole, broken = entry(), entry(T0 + 5000)
    leave(folder, begun(whole), begun(broken), ended(whole))
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.interrupted == 1)
        counters = writer.counters
    assert (counters.replayed, counters.accepted, counters.written) == (1, 0, 0)
    assert await get_request(database, whole.id) == whole
    assert (await get_request(database, broken.id)).outcome == Outcome.INTERRUPTED
    assert await verify_rollup(database) == []
    assert [path.name for path in segments(folder, DONE, LIVE)] == ["dead-000001.done"]


async def test_a_replay_is_told_until_its_last_segment_is_done(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        leave(folder, ended(entry(T0 + number)), name=f"dead-{number:06d}")
    told: list[int] = []
    step = database.background.step

    @contextlib.asynccontextmanager
    async def told_in_each_rest() -> AsyncIterator[None]:
        async with step():
            yield
        told.append(writer.counters.replaying)

    monkeypatch.setattr(database.background, "step", told_in_each_rest)
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.replayed == 3 and writer.counters.replaying == 0)
    # Two steps for each segment, one that reads it and one that writes its row.
    assert len(told) >= 6
    assert all(told[:6])


async def test_an_interrupted_row_gives_way_to_its_end_and_to_nothing_else(database: Database, folder: Path) -> None:
    one = entry()
    leave(folder, begun(one))
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.interrupted == 1)
        await writer.write_again([one])
        assert await get_request(database, one.id) == one
        assert await verify_rollup(database) == []
        for late in (interrupted(started(one)), entry(one.started_at_us, id=one.id, output_tokens=999)):
            await writer.write_again([late])
            assert await get_request(database, one.id) == one
    assert await count_requests(database, RequestFilter()) == 1
    assert await verify_rollup(database) == []


async def test_records_of_a_newer_version_stay_until_they_can_be_read(database: Database, folder: Path) -> None:
    one = entry()
    leave(folder, frame(END, b"new", version=2), ended(one), frame(END, b"\xc1 no msgpack"))
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.spool_unread == 2)
        await until(lambda: segments(folder, PARKED) != [])
    assert await get_request(database, one.id) == one
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.spool_unread == 2)
    assert len(segments(folder, PARKED)) == 1


async def test_damage_in_a_segment_is_counted(database: Database, folder: Path) -> None:
    rows = [entry(T0 + number * 1000) for number in range(3)]
    damaged = bytearray(ended(rows[1]))
    damaged[40] ^= 1
    leave(folder, ended(rows[0]), bytes(damaged), ended(rows[2]), ended(rows[1])[:30])
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.replayed == 2)
        assert writer.counters.spool_damaged == 1
    assert await count_requests(database, RequestFilter()) == 2


@pytest.mark.sqlite_only
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_lost_database_gets_its_rows_and_keys_back(
    database: Database, folder: Path, settings: Settings, tmp_path: Path, replaced: bool
) -> None:
    assert database.path is not None
    keys = KeyStore(database)
    secret, _ = await keys.create("program")
    broken = entry(T0 + 999_000)
    leave(folder, begun(broken))
    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.interrupted == 1)
        for number in range(50):
            await writer.hand_over(entry(T0 + number * 1000))
        await until(lambda: writer.counters.written == 50)
        if replaced:
            other = await open_database(Settings(data_dir=tmp_path / "other"))
            await other.close()
            shutil.move(tmp_path / "other" / "lectr.db", database.path)
        else:
            database.path.unlink()
        for suffix in ("-wal", "-shm"):
            Path(f"{database.path}{suffix}").unlink(missing_ok=True)
        await until(lambda: writer.counters.replayed == 50 and writer.counters.interrupted == 2)
        assert database.epoch == 1
        await keys.load()
        assert keys.find(secret) is not None
        await writer.hand_over(entry(T0 + 60_000_000))
    assert await count_requests(database, RequestFilter()) == 52
    assert (await get_request(database, broken.id)).outcome == Outcome.INTERRUPTED
    assert await verify_rollup(database) == []


@pytest.mark.sqlite_only
async def test_a_database_deleted_while_lectr_was_down_is_rebuilt(settings: Settings, folder: Path) -> None:
    first = await open_database(settings)
    async with writing(first, folder) as writer:
        for number in range(50):
            await writer.hand_over(entry(T0 + number * 1000))
    await first.close()
    for path in settings.data_dir.glob("lectr.db*"):
        path.unlink()
    second = await open_database(settings)
    async with writing(second, folder) as writer:
        await until(lambda: writer.counters.replayed == 50)
    assert await count_requests(second, RequestFilter()) == 50
    await second.close()


async def test_every_file_of_the_spool_is_private_whatever_the_umask(database: Database, folder: Path) -> None:
    before = os.umask(0)
    try:
        async with writing(database, folder) as writer:
            await writer.hand_over(entry())
            await until(lambda: (folder / "database").exists())
    finally:
        os.umask(before)
    assert {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.stat().st_mode & 0o077
    } == {}


async def test_a_spool_that_cannot_be_read_is_tried_again(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(folder, ended(entry()))
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    async with writing(database, folder) as writer:
        await until(lambda: segments(folder, LIVE) != [])
        await asyncio.sleep(0.1)
        assert writer.counters.replayed == 0
        monkeypatch.setattr(Path, "read_bytes", read)
        await until(lambda: writer.counters.replayed == 1)


async def test_a_row_that_does_not_fit_the_spool_is_confirmed_by_the_database(database: Database, folder: Path) -> None:
    async with writing(database, folder) as writer:
        odd = entry(request_model="x\ud800")
        await asyncio.wait_for(writer.hand_over(odd), 5)
        assert writer.begin(msgspec.structs.replace(started(odd), request_model="\ud800")) is None
    assert await count_requests(database, RequestFilter()) == 1


async def test_a_start_is_confirmed_and_a_writer_without_spool_has_none(database: Database, folder: Path) -> None:
    async with writing(database, folder) as writer:
        future = writer.begin(started(entry()))
        assert future is not None
        await asyncio.wait_for(future, 1)
    assert LedgerWriter(database).begin(started(entry())) is None
    assert len(segments(folder, LIVE)) == 1


async def test_who_settles_first_reads_what_was_handed_over_before(database: Database, folder: Path) -> None:
    async with writing(database, folder) as writer:
        # Whoever is not told waits out all of its time.
        async with asyncio.timeout(30):
            for number in range(5):
                for nth in range(3):
                    writer.hand_over(entry(T0 + number * 1000 + nth))
                await writer.settle(20.0)
                assert await count_requests(database, RequestFilter()) == 3 * (number + 1)


async def test_rows_that_nobody_reads_share_a_transaction(database: Database, folder: Path) -> None:
    transactions = []
    write_once = database.write_once

    async def counted(work: Any) -> Any:
        transactions.append(work)
        return await write_once(work)

    async with writing(database, folder) as writer:
        await until(lambda: writer.counters.waiting == 0)
        database.write_once = counted  # type: ignore[method-assign]
        for number in range(200):
            writer.hand_over(entry(T0 + number * 1000))
            await asyncio.sleep(0)
        await until(lambda: writer.counters.written == 200)
    assert len(transactions) < 40
