"""Runs about processes: two on one file, one of many killed, no descriptors, a clock that jumps, a log nobody reads."""

import asyncio
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import psutil

from app.domain import LedgerEntry
from app.ledger.spool_files import SegmentFile
from app.ledger.spool_format import END, START, frame
from tests.faults.clients import Crowd, Seen
from tests.faults.oracle import judge
from tests.faults.processes import Gateway
from tests.faults.runs import Run, box
from tests.faults.upstream import MODEL
from tests.ledger.builders import entry


def answered(seen: list[Seen]) -> int:
    """How many got a whole answer."""
    return sum(one.complete and one.status == 200 for one in seen)


def two_processes(folder: Path, *, seconds: float = 60.0, control: str | None = None) -> Run:
    """An old and a new process write one file; after `seconds` the old one gets SIGTERM, the new one goes on."""
    with box(folder, control) as (provider, old), ExitStack() as stack:
        key = old.make_key()
        other = folder / "new"
        other.mkdir()
        new = Gateway(other, provider.port, control)
        stack.callback(new.end)
        new.share(old.data_dir)
        for gateway in (old, new):
            gateway.start()
        crowds = [Crowd(gateway.port, key, clients=32, leaves=0.02, seed=gateway.port) for gateway in (old, new)]

        async def run() -> int:
            calls = [asyncio.create_task(crowd.call_for(seconds)) for crowd in crowds]
            await calls[0]
            calls.append(asyncio.create_task(crowds[0].call_for(1.5)))
            await calls[1]
            calls.append(asyncio.create_task(crowds[1].call_for(4)))
            await asyncio.sleep(0.2)
            ended = await asyncio.to_thread(old.terminate)
            await asyncio.gather(*calls)
            return ended

        assert asyncio.run(run()) == 0
        health = new.settle()
        assert new.terminate() == 0
        seen = [*crowds[0].seen, *crowds[1].seen]
        # The old one turns new requests away once it drains, in words; then its connections end.
        failed = [one for one in crowds[0].seen if one.failed and (one.status != 503 or not one.complete)]
        failed += [one for one in crowds[1].seen if one.failed]
        notes = {"failed": [(one.status, one.complete, len(one.body), round(one.seconds, 1)) for one in failed[:5]]}
        verdict = judge(seen, provider.arrived(), new.settings)
        return Run(verdict, [*old.ready_s, *new.ready_s], health, failures=len(failed), notes=notes)


def worker_killed(folder: Path, *, kills: int = 8, control: str | None = None) -> Run:
    """Three workers behind one port; one after the other gets kill -9. The rest serve, its spool is adopted."""
    with box(folder, control, words=("--workers", "3")) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd = Crowd(gateway.port, key, seed=3)

        async def run() -> None:
            calling = asyncio.create_task(crowd.call_for(kills * 1.0 + 2))
            for _ in range(kills):
                await asyncio.sleep(1)
                children = psutil.Process(gateway.pid).children()
                os.kill(min(children, key=lambda child: child.create_time()).pid, signal.SIGKILL)
            await calling

        asyncio.run(run())
        # Each worker counts for itself: settled is when the spool has nothing left of any.
        wait_for_rows(gateway)
        health = gateway.health()
        assert gateway.terminate() == 0
        # A request that was under way in the killed worker is cut; every other one is served.
        cut = sum(one.failed for one in crowd.seen)
        verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
        return Run(verdict, gateway.ready_s, health, failures=max(0, cut - kills * 64), notes={"cut": cut})


def wait_for_rows(gateway: Gateway, within_s: float = 60.0) -> None:
    """Wait until no living process's segment has anything that the database has not."""
    deadline = time.monotonic() + within_s
    quiet = 0
    while quiet < 25:
        health = gateway.health()
        quiet = quiet + 1 if not (health["ledger_waiting"] or health["ledger_replaying"]) else 0
        assert time.monotonic() < deadline, health
        # Orphans are looked for every ten seconds.
        time.sleep(0.5)


def few_files(folder: Path, *, control: str | None = None) -> Run:
    """128 descriptors and 200 clients, then 20: who is let in is served, the ledger keeps its files, it recovers."""
    with box(folder, control, files=128) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd, after = Crowd(gateway.port, key, clients=200, seed=5), Crowd(gateway.port, key, clients=20, seed=6)
        asyncio.run(crowd.call_for(6))
        served = answered(crowd.seen)
        time.sleep(0.5)
        asyncio.run(after.call_for(2))
        health = gateway.settle()
        assert gateway.terminate() == 0
        verdict = judge([*crowd.seen, *after.seen], provider.arrived(), gateway.settings)
        failures = sum(one.failed for one in after.seen)
        wrong = sum(one.status not in (None, 200, 503) for one in crowd.seen)
        assert served > 50, served
        return Run(verdict, gateway.ready_s, health, failures=failures + wrong, notes={"served": served})


def jumping_clock(folder: Path, *, control: str = "jumping-clock", seconds: float = 5.0) -> Run:
    """The machine's clock jumps an hour back or a day on, ten times a second."""
    with box(folder, control) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd = Crowd(gateway.port, key, leaves=0.02, seed=7)
        asyncio.run(crowd.call_for(seconds))
        health = gateway.settle()
        assert gateway.terminate() == 0
        verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
        return Run(verdict, gateway.ready_s, health, failures=sum(one.failed for one in crowd.seen))


def blocked_log(folder: Path, *, control: str | None = None, seconds: float = 4.0) -> Run:
    """Standard error is a pipe that is full and that nobody reads, and each request has something to say there."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        with box(folder, control or "talking", log=writing) as (provider, gateway):
            key = gateway.make_key()
            gateway.start()
            crowd = Crowd(gateway.port, key, seed=8)
            asyncio.run(crowd.call_for(seconds))
            health = gateway.settle()
            began = time.monotonic()
            assert gateway.terminate() == 0
            verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
            during = answered(crowd.seen) / seconds
            failures = sum(one.failed for one in crowd.seen)
            notes = {"end_s": round(time.monotonic() - began, 1)}
            return Run(verdict, gateway.ready_s, health, during=during, failures=failures, notes=notes)
    finally:
        os.close(reading)
        os.close(writing)


def replay(folder: Path, requests: int = 50_000) -> Run:
    """A dead process left 2 records for each of `requests`; a start brings them home while it serves."""
    with box(folder) as (provider, gateway):
        key = gateway.make_key()
        _leave(gateway.data_dir / "spool", requests)
        gateway.start()
        crowd = Crowd(gateway.port, key, clients=4, seed=9)
        began = time.monotonic()

        async def run() -> float:
            calling = asyncio.create_task(crowd.call_for(4))
            health: dict[str, Any] = {}
            while health.get("ledger_replayed", 0) < requests or health["ledger_replaying"]:
                health = await asyncio.to_thread(gateway.health)
                assert time.monotonic() < began + 120, health
                await asyncio.sleep(0.05)
            took = time.monotonic() - began
            await calling
            return took

        took = asyncio.run(run())
        health = gateway.settle()
        assert gateway.terminate() == 0
        verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
        # The rows that were left were asked for by nobody here, and share their features: their number must be right.
        assert verdict.rows == requests + len(crowd.seen), verdict
        verdict.invented = verdict.twice = 0
        slowest = max(one.seconds for one in crowd.seen)
        failures = sum(one.failed for one in crowd.seen)
        notes = {"replay_s": round(took, 2), "slowest_s": round(slowest, 2)}
        return Run(verdict, gateway.ready_s, health, failures=failures, notes=notes)


def _leave(folder: Path, requests: int) -> None:
    encode = msgspec.msgpack.Encoder().encode
    now_us = time.time_ns() // 1000 - 3_600_000_000
    records: list[bytes] = []
    number = 0
    for count in range(requests):
        row: LedgerEntry = entry(
            now_us + count * 1000,
            feature=f"left-{count % 50}",
            request_model=MODEL,
            outcome="provider_error",
            status=500,
        )
        started = {"id": row.id, "started_at_us": row.started_at_us, "key": row.key, "endpoint": row.endpoint}
        records += (frame(START, encode(started)), frame(END, encode(row)))
        if len(records) == 10_000 or count + 1 == requests:
            number += 1
            data = b"".join(records)
            segment = SegmentFile.create(folder, f"dead-{number:06d}", len(data))
            segment.write(data)
            segment.close()
            records = []
