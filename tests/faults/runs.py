"""The runs: kill -9 in a loop, and a database that fails under load. Each ends with the oracle's verdict."""

import asyncio
import contextlib
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.clients import Crowd, Seen
from tests.faults.database_faults import Fault, file_of, spoil
from tests.faults.oracle import Verdict, judge
from tests.faults.processes import Gateway, Provider

READY_P99_S = 1.5
AT_ONCE = 2
"""How many damaged files are started at the same time: each start uses one core."""


class Run(msgspec.Struct):
    """A verdict, the seconds each start took, the last health, and requests per second before and during a fault."""

    verdict: Verdict
    ready_s: list[float]
    health: Mapping[str, Any]
    before: float = 0.0
    during: float = 0.0
    failures: int = 0
    notes: dict[str, Any] = {}

    @property
    def ready_p99_s(self) -> float:
        """The time in which 99 of 100 starts were ready."""
        ordered = sorted(self.ready_s)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


@contextlib.contextmanager
def box(folder: Path, control: str | None = None, **options: Any) -> Iterator[tuple[Provider, Gateway]]:
    """A provider and a gateway (see its options) that is not started yet; both are ended at last."""
    folder.mkdir(parents=True, exist_ok=True)
    provider = Provider(folder)
    gateway = Gateway(folder, provider.port, control, **options)
    try:
        yield provider, gateway
    finally:
        gateway.end()
        provider.end()


def kill_cycles(folder: Path, cycles: int, *, control: str | None = None, seed: int = 1, database: str = "") -> Run:
    """Start, load, kill -9 in the middle, again and again; then a last start that brings everything home."""
    draw = random.Random(seed)
    with box(folder, control, database=database) as (provider, gateway):
        crowd = Crowd(gateway.port, gateway.make_key(), leaves=0.05, seed=seed)

        async def cycle(seconds: float) -> None:
            calling = asyncio.create_task(crowd.call_for(seconds))
            await asyncio.sleep(seconds * 0.9)
            await asyncio.to_thread(gateway.kill)
            await calling

        for _ in range(cycles):
            gateway.start()
            asyncio.run(cycle(draw.uniform(0.3, 1.5)))
        gateway.start()
        health = gateway.settle()
        assert gateway.terminate() == 0
        return Run(judge(crowd.seen, provider.arrived(), gateway.settings), gateway.ready_s, health)


def under_load(
    folder: Path,
    fault: Fault,
    *,
    seconds: float = 4.0,
    control: str | None = None,
    database: str = "",
    before: Sequence[str] = (),
) -> Run:
    """Load for `seconds` without, with and after a fault of the database; 0.02 of the clients hang up."""
    with box(folder, control, database=database, before=before) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        crowd = Crowd(gateway.port, key, leaves=0.02)
        counts: list[int] = []

        def answered() -> int:
            return sum(one.complete and one.status == 200 for one in crowd.seen)

        async def run() -> None:
            calling = asyncio.create_task(crowd.call_for(seconds * 3 + 1))
            await asyncio.sleep(1)
            counts.append(answered())
            await asyncio.sleep(seconds)
            counts.append(answered())
            with fault(gateway, seconds):
                await asyncio.sleep(seconds)
                counts.append(answered())
            await calling

        asyncio.run(run())
        health = gateway.settle()
        assert gateway.terminate() == 0
        failures = sum(one.failed for one in crowd.seen)
        rates = (counts[1] - counts[0]) / seconds, (counts[2] - counts[1]) / seconds
        verdict = judge(crowd.seen, provider.arrived(), gateway.settings)
        notes = {"slowest_s": round(max(one.seconds for one in crowd.seen), 2)}
        return Run(verdict, gateway.ready_s, health, *rates, failures, notes)


def damaged_starts(folder: Path, seeds: range, *, control: str | None = None) -> Run:
    """4 KB of garbage in a database at rest, once for each seed, then a start: nobody gets 401, no row is missing."""
    with box(folder, control) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()
        first = Crowd(gateway.port, key)
        asyncio.run(first.call_for(2))
        gateway.settle()
        assert gateway.terminate() == 0
        pristine = shutil.copytree(gateway.data_dir, folder / "pristine")

        def start_some(number: int) -> Run:
            place = folder / f"{number}"
            place.mkdir()
            other = Gateway(place, provider.port, control)
            try:
                return _damaged(other, pristine, key, first.seen, provider, seeds[number::AT_ONCE])
            finally:
                other.end()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            whole, *others = pool.map(start_some, range(AT_ONCE))
        for other in others:
            whole.verdict.add(other.verdict)
            whole.ready_s += other.ready_s
            whole.failures += other.failures
            whole.notes["replaced"] += other.notes["replaced"]
        return whole


def _damaged(
    gateway: Gateway, pristine: Path, key: str, known: Sequence[Seen], provider: Provider, seeds: Sequence[int]
) -> Run:
    total, replaced, failures = Verdict(), 0, 0
    health: Mapping[str, Any] = {}
    for seed in seeds:
        shutil.rmtree(gateway.data_dir, ignore_errors=True)
        shutil.copytree(pristine, gateway.data_dir)
        spoil(file_of(gateway), random.Random(seed))
        gateway.start()
        crowd = Crowd(gateway.port, key, clients=8, seed=seed)
        asyncio.run(crowd.call_for(0.3))
        health = gateway.settle()
        assert gateway.terminate() == 0
        replaced += "set_aside" in health["troubles"]
        failures += sum(one.failed for one in crowd.seen)
        seen = [*known, *crowd.seen]
        ours = {one.nonce for one in seen}
        total.add(judge(seen, [nonce for nonce in provider.arrived() if nonce in ours], gateway.settings))
    return Run(total, gateway.ready_s, health, failures=failures, notes={"replaced": replaced})
