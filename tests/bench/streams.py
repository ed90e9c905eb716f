"""Slow streams: what one event costs, how late it comes, and what an open stream keeps in memory.

The load is a small client in C: wrk reads whole answers and does not see events.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.field import SLOW, Field, field
from tests.bench.measure import (
    LOAD_CORE,
    PROVIDER_KEY,
    STREAM_REQUEST,
    Target,
    cpu_ns,
    rss_mib,
)
from tests.bench.peers import calm_down
from tests.bench.providers import compiled, end_streams, set_gap, slow_provider
from tests.bench.rates import Plan
from tests.bench.results import Cell, Part, part_of

FEW, MANY = (1, 100), (1000,)
GAP_MS = {1: 10, 100: 100, 1000: 250}
SLOW_GAP_MS = {1: 10, 100: 300, 1000: 2000}
"""What would take more than a core at the others' pace gets its events less often, so that an event's cost shows."""
OPEN_WITHIN_S = 90.0
END_WITHIN_S = 30.0
STANDSTILL_S = 10.0


class Progress(msgspec.Struct, frozen=True):
    """What the client says of its streams so far; delays are milliseconds from the provider's write to its read."""

    started: int
    opened: int
    finished: int
    errors: int
    events: int
    p50_ms: float
    p99_ms: float


class StreamRun(msgspec.Struct, frozen=True):
    """One target with its streams open: CPU per event, delay of events, memory per stream, streams that failed."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    kib: float
    errors: int
    per_second: float


class Client:
    """The client in C, asked over its standard input."""

    def __init__(self, target: Target, key: str, streams: int, spread_ms: int, folder: Path) -> None:
        fields = {"Host": "bench", "Content-Type": "application/json", "Authorization": f"Bearer {PROVIDER_KEY}"}
        fields |= {"X-Lectr-Key": key, **dict(target.headers), "Content-Length": str(len(STREAM_REQUEST))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = folder / "request"
        request.write_bytes(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + STREAM_REQUEST)
        words = [str(compiled("streams")), str(target.port), str(streams), str(spread_ms), str(request)]
        self.process = subprocess.Popen(
            ["taskset", "-c", LOAD_CORE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, word: str) -> Progress:
        """`count`, or `forget` the delays seen so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return msgspec.json.decode(self.process.stdout.readline(), type=Progress)

    def wait_for(self, name: str, number: int, within_s: float) -> Progress:
        """Until `number` streams are `opened` (or failed before) or `finished`, or nothing moves any more."""
        deadline = time.monotonic() + within_s
        last, standing_since = -1, time.monotonic()
        while True:
            seen = self.ask("count")
            done = seen.finished if name == "finished" else seen.opened + seen.errors
            now = time.monotonic()
            if done != last:
                last, standing_since = done, now
            if done >= number or now > deadline or now > standing_since + STANDSTILL_S:
                return seen
            time.sleep(0.1)


@contextlib.contextmanager
def streaming(target: Target, key: str, streams: int, spread_ms: int, folder: Path) -> Iterator[Client]:
    """The client with its streams, ended by its process id."""
    client = Client(target, key, streams, spread_ms, folder)
    try:
        yield client
    finally:
        try:
            # Its input at its end is what tells it to leave.
            client.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            client.process.kill()
            client.process.communicate()


def put_streams(target: Target, everybody: Field, streams: int, seconds: float) -> StreamRun:
    """Open the streams, let them settle, measure for `seconds`, let them end."""
    gap_ms = (SLOW_GAP_MS if target.name in SLOW else GAP_MS)[streams]
    set_gap(everybody.upstream_port, gap_ms)
    rss_before = rss_mib(target.pid)
    with streaming(target, everybody.lectr.key, streams, max(gap_ms, 300), everybody.folder) as client:
        opened = client.wait_for("opened", streams, OPEN_WITHIN_S)
        if opened.opened < streams:
            print(f"  {target.name}: {opened.opened} of {streams} streams opened, {opened.errors} failed", flush=True)
        time.sleep(1.0)
        before, cpu_before, began = client.ask("forget"), cpu_ns(target.pid), time.monotonic()
        time.sleep(seconds)
        after, cpu_after, took = client.ask("count"), cpu_ns(target.pid), time.monotonic() - began
        kib = (rss_mib(target.pid) - rss_before) * 1024 / streams
        end_streams(everybody.upstream_port)
        ended = client.wait_for("finished", opened.opened, END_WITHIN_S)
    calm_down(target.pid)
    events = after.events - before.events
    # Those that did not open while the others were held open have failed; what became of them later does not matter.
    errors = max(ended.errors, streams - opened.opened) + max(0, opened.opened - ended.finished)
    cpu_us = (cpu_after - cpu_before) / 1000 / max(events, 1)
    return StreamRun(cpu_us, after.p50_ms, after.p99_ms, kib, errors, events / took)


def checked(target: Target, everybody: Field, streams: int, seconds: float) -> StreamRun:
    """One run; Lectr must have lost no stream and have a row of each. Raises RuntimeError."""
    lectr = everybody.lectr
    is_lectr = target.name == "lectr"
    before = lectr.rows() if is_lectr else 0
    run = put_streams(target, everybody, streams, seconds)
    if is_lectr:
        deadline = time.monotonic() + 15
        while lectr.rows() - before < streams and time.monotonic() < deadline:
            time.sleep(0.2)
        if run.errors or lectr.rows() - before != streams:
            raise RuntimeError(f"{streams} streams: {run.errors} failed, {lectr.rows() - before} rows")
    return run


def few_streams_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """1 and 100 slow streams at once, against everybody."""
    return _measured(nginx, folder, plan, FEW)


def streams_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """1,000 slow streams at once, against everybody; LiteLLM in one round only."""
    return _measured(nginx, folder, plan, MANY)


def _measured(nginx: str, folder: Path, plan: Plan, numbers: tuple[int, ...]) -> Part:
    cells: list[Cell] = []
    with field(nginx, folder, peers=True) as everybody, slow_provider(folder / "slow", everybody.upstream_port):
        targets = [target for name, target in everybody.targets.items() if name != "nginx, buffering"]
        for streams in numbers:
            rounds: list[dict[str, StreamRun]] = []
            for number in range(plan.rounds):
                taking_part = [each for each in targets if number == 0 or numbers != MANY or each.name not in SLOW]
                order = taking_part if number % 2 == 0 else taking_part[::-1]
                rounds.append({each.name: checked(each, everybody, streams, plan.seconds) for each in order})
            cells += _cells(rounds, streams)
            for cell in cells[-len(targets) :]:
                print(f"  streams={streams:<5} {cell.target:<10} {cell.figures}", flush=True)
    gaps = " and ".join(f"{GAP_MS[streams]:,} ms at {streams:,}" for streams in numbers)
    slower = " and ".join(f"{SLOW_GAP_MS[streams]:,} ms at {streams:,}" for streams in numbers)
    note = (
        f"Each stream has an event every {gaps}; LiteLLM's, which would else need more than the core, every {slower}."
    )
    return part_of(cells, plan.rounds, [note])


def _cells(rounds: list[dict[str, StreamRun]], streams: int) -> list[Cell]:
    cells = []
    for name in rounds[0]:
        runs = [each[name] for each in rounds if name in each]
        lectr = [each["lectr"].cpu_us / each[name].cpu_us for each in rounds if name in each]
        # Memory that a run needed is there for the next one: only the first shows what the streams take.
        figures = {
            "cpu_us": median(run.cpu_us for run in runs),
            "cpu_ratio": median(lectr),
            "p50_ms": median(run.p50_ms for run in runs),
            "p99_ms": median(run.p99_ms for run in runs),
            "kib": max(run.kib for run in runs),
            "errors": sum(run.errors for run in runs),
            "per_second": median(run.per_second for run in runs),
        }
        cells.append(Cell(name, streams, {key: float(f"{value:.4g}") for key, value in figures.items()}))
    return cells
