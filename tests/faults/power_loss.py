"""Runs in which the power goes: what the disk has by then is all that a new Lectr finds.

Lectr runs under real load while strace writes down all its calls on the data folder. For many moments of that run the
folder is built as the disk would have it (see power_loss_disk): with nothing but what was synced, or with any of the
pages and names beyond that. On each of them a real Lectr starts, comes to rest, serves, and is judged.

A FUSE file system that forgets what was not synced would show the same and needs a binding, a mount and its rights,
and one run of the load for each cut. A log of calls needs only strace, gives a hundred cuts of one run, can cut
between any two calls, and a cut that goes wrong can be looked at again.
"""

import asyncio
import itertools
import math
import random
import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from app.ledger.spool_files import LIVE
from tests.faults.clients import Crowd, Seen
from tests.faults.oracle import Verdict, judge
from tests.faults.power_loss_disk import Disk
from tests.faults.power_loss_trace import Call, read_calls, strace
from tests.faults.processes import Gateway, Provider
from tests.faults.runs import Run, box

MODES = ("full", "fast")
AT_ONCE = 3
FAST_WITHIN_S = 0.15
"""How old what is lost with `fast` may be: 50 ms, the sync that is running, and a machine that does more beside."""
FAST_ROUNDS = 3
"""It may be older on a machine so busy that the spool's thread gets no turn: that many of its rounds."""
FAST_ROUND_MS = 100.0
"""How long a round, with the pause before it, may last in the median."""
_PAUSE_S = 0.04
CLIENTS = 24
SMALL = "small-parts"
"""The change that lets segments and the WAL come to their ends within seconds; answers wait for their sync however
long it takes, so that none goes out unconfirmed on a slow machine (see controls)."""


class Recording(msgspec.Struct):
    """One run of the load: what was on the disk when it began, the calls since, and what the clients saw."""

    mode: str
    base: Path
    data_dir: Path
    calls: list[Call]
    seen: list[Seen]
    rounds: list[float]
    unconfirmed: int
    port: int
    key: str


class Cut(msgspec.Struct):
    """What became of one loss of power. `oldest_s` = how long the oldest answer without its row had been complete."""

    verdict: Verdict
    ready_s: float
    health: dict[str, Any]
    missing: int
    oldest_s: float
    failures: int


def power_loss(folder: Path, *, cuts: int = 100, seconds: float = 3.0, control: str = SMALL) -> Run:
    """`cuts` losses of power, half of them with LECTR_LEDGER_SYNC=full, which may lose no answer that was complete.

    The others are with `fast`: there the notes say how old an answer without a row was at most.
    """
    verdict, ready, failures = Verdict(), [], 0
    health: dict[str, Any] = {"ledger_lost": 0, "ledger_unconfirmed": 0, "ledger_parked": 0}
    notes: dict[str, Any] = {}
    for mode in MODES:
        with box(folder / mode) as (provider, first):
            recording = _record(folder / mode, mode, first, provider.port, seconds, control)
            found = _cuts(folder / mode, recording, provider, cuts // len(MODES))
        for one in found:
            verdict.add(one.verdict)
            ready.append(one.ready_s)
            failures += one.failures
            health |= {name: health[name] + one.health[name] for name in ("ledger_lost", "ledger_parked")}
        notes[f"{mode}_missing"] = sum(one.missing for one in found)
        notes[f"{mode}_oldest_ms"] = round(max(one.oldest_s for one in found) * 1000, 1)
        notes[f"{mode}_unconfirmed"] = recording.unconfirmed
        if mode == "fast":
            lasted = [later - sooner for sooner, later in itertools.pairwise(recording.rounds)]
            notes["fast_round_ms"] = round(statistics.median(lasted or [math.inf]) * 1000, 1)
        notes[f"{mode}_calls"] = len(recording.calls)
    return Run(verdict, ready, health, failures=failures, notes=notes)


def _record(folder: Path, mode: str, first: Gateway, port: int, seconds: float, control: str) -> Recording:
    key = first.make_key()
    # With `full` it is the first start ever; with `fast` the spool has work from one that was killed.
    before = [] if mode == "full" else _killed(first, key)
    base = shutil.copytree(first.data_dir, folder / "base")
    log = folder / "calls"
    second = Gateway(folder, port, control, environ={"LECTR_LEDGER_SYNC": mode}, before=strace(log))
    try:
        second.start()
        crowd = Crowd(second.port, key, clients=CLIENTS, leaves=0.02, seed=21)
        asyncio.run(crowd.call_for(seconds))
        unconfirmed = second.health()["ledger_unconfirmed"]
        assert second.terminate() == 0
    finally:
        second.end()
    _until_written(log, second.pid)
    calls = read_calls(log, first.data_dir)
    seen = [*before, *crowd.seen]
    return Recording(mode, base, first.data_dir, calls, seen, _rounds(calls), unconfirmed, port, key)


def _rounds(calls: Iterable[Call]) -> list[float]:
    """When each round of syncs of the spool was through; a pause is between any two."""
    ends: list[float] = []
    syncs = (call for call in calls if call.name == "fdatasync" and call.path.endswith(LIVE))
    for call in sorted(syncs, key=lambda call: call.began):
        if ends and call.began < ends[-1] + _PAUSE_S:
            ends[-1] = max(ends[-1], call.ended)
        else:
            ends.append(call.ended)
    return ends


def _killed(gateway: Gateway, key: str) -> list[Seen]:
    """A Lectr that served for a moment and got kill -9: what its clients saw."""
    crowd = Crowd(gateway.port, key, clients=8, seed=20)

    async def run() -> None:
        calling = asyncio.create_task(crowd.call_for(1.0))
        await asyncio.sleep(0.8)
        await asyncio.to_thread(gateway.kill)
        await calling

    gateway.start()
    asyncio.run(run())
    return crowd.seen


def _until_written(log: Path, pid: int, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while True:
        with log.open("rb") as lines:
            lines.seek(max(0, log.stat().st_size - 4096))
            if any(line.startswith(b"%d " % pid) and b"+++ exited" in line for line in lines):
                return
        assert time.monotonic() < deadline, "strace has not ended"
        time.sleep(0.1)


def _moments(recording: Recording, count: int) -> list[float]:
    """Half of them when a client had just got its answer, half at any time from the start to the end."""
    draw = random.Random(f"{recording.mode} moments")
    calls = recording.calls
    answers = [one.complete_at for one in recording.seen if one.complete and one.complete_at > calls[0].began]
    anywhere = [draw.uniform(calls[0].began, calls[-1].ended) for _ in range(count - count // 2)]
    return [*draw.sample(answers, count // 2), *anywhere]


def _cuts(folder: Path, recording: Recording, provider: Provider, count: int) -> list[Cut]:
    moments = _moments(recording, count)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(
            pool.map(lambda number: _cut(folder, recording, provider, number, moments[number]), range(len(moments)))
        )


def _cut(folder: Path, recording: Recording, provider: Provider, number: int, moment: float) -> Cut:
    """Let the power go at this moment, and start again."""
    here = folder / f"cut-{number}"
    here.mkdir()
    draw = random.Random(number) if number % 2 else None
    disk = Disk(recording.base, recording.data_dir)
    disk.run(recording.calls, moment)
    disk.leave(here / "data", draw)
    _keep_identity(recording.data_dir, here / "data")
    gateway, ready_s = _started(here, recording)
    try:
        after = Crowd(gateway.port, recording.key, clients=1, seed=number)
        asyncio.run(after.call_for(0.05))
        health = gateway.settle()
        assert gateway.terminate() == 0
    finally:
        gateway.end()
    missing = _missing(gateway.data_dir / "lectr.db", [one for one in recording.seen if one.complete], moment)
    until = _promised(recording, moment)
    seen = [msgspec.structs.replace(one, complete=one.complete and one.complete_at <= until) for one in recording.seen]
    verdict = judge([*seen, *after.seen], provider.arrived(), gateway.settings)
    # Nobody has promised a row for what was under way.
    verdict.forwarded_without_row = 0
    shutil.rmtree(here)
    ages = [moment - one.complete_at for one in missing]
    lost = len(missing) if recording.mode == "full" else 0
    failures = lost + sum(one.failed for one in after.seen)
    return Cut(verdict, ready_s, health, len(missing), max(ages, default=0.0), failures)


def _started(here: Path, recording: Recording) -> tuple[Gateway, float]:
    """A Lectr on this folder, and the seconds its start took."""
    while True:
        gateway = Gateway(here, recording.port, environ={"LECTR_LEDGER_SYNC": recording.mode})
        try:
            return gateway, gateway.start()
        except BaseException as error:
            gateway.end()
            # Of several that look for a port at once, two may find the same.
            if "Address already in use" not in str(error):
                raise


def _keep_identity(was: Path, now: Path) -> None:
    """The spool knows its database by the inode, which a loss of power does not change."""
    mark = now / "spool" / "database"
    if mark.exists():
        old, new = ((folder / "lectr.db").stat() for folder in (was, now))
        mark.write_text(mark.read_text().replace(f"{old.st_dev}:{old.st_ino}", f"{new.st_dev}:{new.st_ino}"))


def _promised(recording: Recording, moment: float) -> float:
    """Answers that were complete by then must have their row; with `fast`, a younger one may have gone."""
    if recording.mode == "full":
        return moment
    through = [ended for ended in recording.rounds if ended <= moment]
    # What the one that was killed had left was on the disk before the first call.
    rounds = through[-FAST_ROUNDS] if len(through) >= FAST_ROUNDS else recording.calls[0].began
    return min(rounds, moment - FAST_WITHIN_S)


def _missing(database: Path, answered: Iterable[Seen], moment: float) -> list[Seen]:
    """Whose answer was whole by then and is not in the ledger as that."""
    query = """SELECT g.feature FROM requests r JOIN groups g ON g.id = r.group_id WHERE g.outcome = 'ok'"""
    connection = sqlite3.connect(database)
    try:
        counted = {nonce for (nonce,) in connection.execute(query)}
    finally:
        connection.close()
    return [one for one in answered if one.status == 200 and one.complete_at <= moment and one.nonce not in counted]
