"""The spool: what it confirms is in the kernel's hands, whatever the disk does, and it holds nobody up."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.ledger import spool as spool_module
from app.ledger.confirmation import BoundedWait
from app.ledger.spool import Spool
from app.ledger.spool_files import DONE, LIVE, NEW, SegmentFile, segments
from app.ledger.spool_format import END, START, read_segment

pytestmark = pytest.mark.anyio

SIZE = 64 * 1024
BODY = b"x" * 1000


@contextlib.asynccontextmanager
async def spooling(folder: Path, **options: Any) -> AsyncIterator[Spool]:
    spool = Spool(folder, **({"segment_bytes": SIZE, "sync_s": 0.01, "probe_s": 0.05} | options))
    spool.start()
    yield spool
    await spool.stop()


def bodies(folder: Path, *suffixes: str) -> list[bytes]:
    return [
        record.body
        for path in segments(folder, *(suffixes or (LIVE, DONE)))
        for record in read_segment(path.read_bytes()).records
    ]


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came to pass"
        await asyncio.sleep(0.005)


async def test_a_confirmed_record_is_in_the_file(tmp_path: Path) -> None:
    async with spooling(tmp_path) as spool:
        record = spool.append("a", START, b"first")
        assert not record.written
        await asyncio.wait_for(record, 1)
        assert record.written
        assert bodies(tmp_path) == [b"first"]
        await asyncio.gather(*(spool.append(str(n), END, b"%d" % n) for n in range(200)))
        assert bodies(tmp_path) == [b"first", *(b"%d" % n for n in range(200))]
        assert spool.state.requests == 201
        assert spool.state.unwritten == 0


async def test_a_segment_is_done_when_all_its_requests_are_in_the_database(tmp_path: Path) -> None:
    async with spooling(tmp_path) as spool:
        ids = [str(n) for n in range(150)]
        await asyncio.gather(*(spool.append(one, END, BODY) for one in ids))
        assert len(spool.segments_in_use()) == 3
        spool.applied(["unknown", *ids[1:]])
        await until(lambda: len(segments(tmp_path, DONE)) == 1)
        assert len(spool.segments_in_use()) == 1
        spool.applied(ids[:1])
        await until(lambda: len(segments(tmp_path, DONE)) == 2)
        assert spool.state.requests == 0
    assert len(segments(tmp_path, DONE)) == 3
    assert segments(tmp_path, LIVE, NEW) == []
    assert len(bodies(tmp_path)) == 150


async def test_a_stopped_spool_leaves_what_is_not_in_the_database_to_others(tmp_path: Path) -> None:
    async with spooling(tmp_path) as spool:
        await spool.append("a", END, b"left")
    [path] = segments(tmp_path, LIVE)
    orphan = SegmentFile.adopt(path)
    assert orphan is not None
    assert bodies(tmp_path) == [b"left"]
    orphan.close()


async def test_a_row_that_was_faster_than_its_record_holds_no_segment(tmp_path: Path) -> None:
    async with spooling(tmp_path) as spool:
        record = spool.append("a", END, b"late")
        spool.applied(["a"])
        await record
        assert spool.segments_in_use() == []
    assert segments(tmp_path, LIVE) == []


async def test_a_confirmation_nobody_waits_for_any_more_is_no_fault(tmp_path: Path) -> None:
    async with spooling(tmp_path) as spool:
        record = spool.append("a", END, b"x")
        waiting = asyncio.ensure_future(record)
        await asyncio.sleep(0)
        waiting.cancel()
        await until(lambda: record.written)


async def test_a_disk_that_stands_still_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    pwrite = os.pwrite

    def stalled(*values: Any) -> int:
        gate.wait(5)
        return pwrite(*values)

    async with spooling(tmp_path) as spool:
        monkeypatch.setattr(os, "pwrite", stalled)
        records = [spool.append(str(n), END, BODY) for n in range(10)]
        longest = 0.0
        for _ in range(50):
            before = time.monotonic()
            await asyncio.sleep(0.002)
            longest = max(longest, time.monotonic() - before)
        assert longest < 1.0
        assert spool.state.unwritten == 10
        gate.set()
        await asyncio.gather(*(record for record in records))
        assert len(bodies(tmp_path)) == 10


async def test_a_failed_segment_is_given_up_and_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    failures = [OSError(5, "Input/output error")]

    def flaky(*values: Any) -> int:
        if failures:
            raise failures.pop()
        return pwrite(*values)

    async with spooling(tmp_path, sync_s=30.0) as spool:
        await spool.append("a", END, b"before")
        await spool.append("applied", END, b"applied")
        spool.applied(["applied"])
        monkeypatch.setattr(os, "pwrite", flaky)
        await asyncio.wait_for(spool.append("b", END, b"after"), 1)
        first, second = segments(tmp_path, LIVE)
        held = [b"before", b"applied"]
        assert [record.body for record in read_segment(first.read_bytes()).records] == held
        assert [record.body for record in read_segment(second.read_bytes()).records] == [*held, b"after"]
        await until(lambda: spool.state.error == "")
        assert spool.segments_in_use() == [second]
        spool.applied(["a", "b"])
        assert spool.segments_in_use() == []


async def test_a_disk_that_fails_for_a_while_gets_everything_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*values: Any) -> None:
        raise OSError(28, "No space left on device")

    async with spooling(tmp_path) as spool:
        monkeypatch.setattr(os, "pwrite", full)
        monkeypatch.setattr(os, "posix_fallocate", full)
        records = [spool.append(str(n), END, b"%d" % n) for n in range(20)]
        await until(lambda: "No space" in spool.state.error)
        records += [spool.append(str(n), END, b"%d" % n) for n in range(20, 30)]
        spool.applied(["3"])
        await asyncio.sleep(0.2)
        assert not any(record.done() for record in records)
        monkeypatch.undo()
        await asyncio.wait_for(asyncio.gather(*(record for record in records)), 5)
        assert bodies(tmp_path) == [b"%d" % n for n in range(30)]
        assert spool.state.error == ""


async def test_memory_is_bounded_while_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*values: Any) -> None:
        raise OSError("no reason")

    monkeypatch.setattr(spool_module, "MAX_IN_MEMORY", 10)
    async with spooling(tmp_path) as spool:
        monkeypatch.setattr(SegmentFile, "create", broken)
        spool.append("first", END, b"first")
        await until(lambda: spool.state.error == "no reason")
        records = [spool.append(str(n), END, b"%d" % n) for n in range(14)]
        await until(lambda: spool.state.dropped == 5)
        assert spool.state.unwritten == 10
        monkeypatch.undo()
        await asyncio.wait_for(records[-1], 5)
        assert bodies(tmp_path) == [b"%d" % n for n in range(4, 14)]


async def test_what_memory_had_no_room_for_is_not_remembered_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*values: Any) -> None:
        raise OSError("no reason")

    monkeypatch.setattr(spool_module, "MAX_IN_MEMORY", 10)
    misses: list[None] = []
    waits = BoundedWait(0.01, lambda: misses.append(None))
    async with spooling(tmp_path) as spool:
        monkeypatch.setattr(SegmentFile, "create", broken)
        await waits.wait(spool.append("first", START, b"first"))
        row = spool.append("second", END, b"second")
        for number in range(50):
            spool.append(str(number), START, b"%d" % number)
        await until(lambda: spool.state.dropped == 42)
        assert spool.state.requests == 10
        # The database may still take the row: only that says what became of it.
        assert not row.done()
        monkeypatch.undo()
        await until(lambda: spool.state.unwritten == 0)
        confirmed = spool.append("last", START, b"last")
        await waits.wait(confirmed)
        assert confirmed.done()
        assert len(misses) == 1


async def test_what_has_no_room_forgets_neither_its_sibling_nor_what_a_segment_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spooling(tmp_path) as spool:
        kept = spool.append("kept", END, b"kept")
        await kept
        # It was taken back because its sync failed, and then there were too many.
        spool._lost_in_memory([kept])
        assert (spool.state.requests, spool.state.unwritten) == (1, 0)
        monkeypatch.setattr(spool, "_pass_on", lambda: None)
        start, end = spool.append("both", START, b"start"), spool.append("both", END, b"end")
        spool._lost_in_memory([start])
        assert (start.done(), end.done(), spool.state.requests, spool.state.unwritten) == (True, False, 2, 1)
        spool._lost_in_memory([end])
        assert (spool.state.requests, spool.state.unwritten, spool.state.dropped) == (1, 0, 3)


async def test_what_a_failed_sync_may_have_lost_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdatasync = os.fdatasync
    failures = [OSError(5, "Input/output error")] * 2

    def flaky(descriptor: int) -> None:
        if failures:
            raise failures.pop()
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", flaky)
    async with spooling(tmp_path) as spool:
        await spool.append("a", END, b"a")
        await until(lambda: len(segments(tmp_path, LIVE)) >= 2)
        assert "Input/output" in spool.state.error
        await until(lambda: not failures and spool.state.error == "")
        await until(lambda: len(spool.segments_in_use()) == 1)
        assert bodies(tmp_path, LIVE, DONE).count(b"a") == 3
        spool.applied(["a"])
    assert segments(tmp_path, LIVE) == []


async def test_memory_is_bounded_while_a_sync_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: gate.wait(5))
    monkeypatch.setattr(spool_module, "MAX_IN_MEMORY", 3)
    async with spooling(tmp_path) as spool:
        for number in range(20):
            await asyncio.wait_for(spool.append(str(number), END, b"x"), 1)
        assert spool._unsynced_records <= 4
        gate.set()
    assert len(bodies(tmp_path)) == 20


async def test_with_sync_first_nothing_is_confirmed_that_the_disk_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    fdatasync = os.fdatasync

    def stalled(descriptor: int) -> None:
        gate.wait(5)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", stalled)
    async with spooling(tmp_path, sync_first=True) as spool:
        record = spool.append("a", END, b"a")
        await until(lambda: bodies(tmp_path) == [b"a"])
        await asyncio.sleep(0.1)
        assert not record.done()
        gate.set()
        await until(record.done)
    async with spooling(tmp_path / "fast") as spool:
        gate.clear()
        await until(spool.append("b", END, b"b").done)
        gate.set()


async def test_with_sync_first_a_failed_sync_is_written_again_before_it_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdatasync = os.fdatasync
    failures = [OSError(5, "Input/output error")]

    def flaky(descriptor: int) -> None:
        if failures:
            raise failures.pop()
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", flaky)
    async with spooling(tmp_path, sync_first=True) as spool:
        await until(spool.append("a", END, b"a").done)
        assert bodies(tmp_path).count(b"a") == 2


async def test_a_record_too_long_for_a_segment_is_refused(tmp_path: Path) -> None:
    async with spooling(tmp_path, segment_bytes=4096) as spool:
        with pytest.raises(ValueError, match="too long"):
            spool.append("a", END, bytes(5000))
        assert spool.state.requests == 0
        await spool.append("a", END, bytes(100))


async def test_the_folder_may_disappear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*values: Any, **named: Any) -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(SegmentFile, "retire", broken)
    monkeypatch.setattr(SegmentFile, "remove", broken)
    monkeypatch.setattr(spool_module, "delete_expired", broken)
    async with spooling(tmp_path) as spool:
        await spool.append("a", END, BODY)
        await asyncio.sleep(0.05)
        spool.applied(["a"])


async def test_a_spool_that_never_wrote_leaves_nothing(tmp_path: Path) -> None:
    async with spooling(tmp_path):
        await asyncio.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_loop_that_is_gone_is_not_told(tmp_path: Path) -> None:
    async def leave() -> Spool:
        spool = Spool(tmp_path, segment_bytes=SIZE)
        spool.start()
        return spool

    spool = asyncio.run(leave())
    spool._queue.put(None)
    for thread in spool._threads:
        thread.join(0.5)
    assert not spool._threads[0].is_alive()
    spool._ended.set()
    spool._threads[1].join(5)


async def test_with_nothing_to_bring_to_the_disk_its_thread_sleeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[bool] = []
    sync = Spool._sync

    def counted(spool: Spool) -> bool:
        turns.append(True)
        return sync(spool)

    monkeypatch.setattr(Spool, "_sync", counted)
    async with spooling(tmp_path) as spool:
        await spool.append("a", END, b"a")
        await until(lambda: spool._unsynced_records == 0)
        await asyncio.sleep(0.1)
        before = len(turns)
        await asyncio.sleep(0.3)
        assert len(turns) == before
        await spool.append("b", END, b"b")
        await until(lambda: spool._unsynced_records == 0)
