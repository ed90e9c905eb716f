"""`make soak`: what only shows in long runs or in large numbers. Each part starts a Lectr process of its own.

streams   F20: 1,000 streams at once, 20 chunks/s for 20 s, twice
memory    F22: 300,000 requests, mixed with errors, streams and callers who leave
nonces    T36: 50,000 requests, 40 % of their callers gone at a random byte
stalled   T28: 500 clients that stall in four ways, and good traffic beside them
starved   F33: 10,000 requests while four processes take the CPU

`python -m tests.security.soak PART SHARE` runs one of them with a share of its numbers.
"""

import asyncio
import hashlib
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import uvloop

from tests.security import load
from tests.security.load import Caller, Looked, Tally, Upstream, connect, request, turn
from tests.security.siege import ADMIN, start

KIB, MIB = 1024, 1024 * 1024
STREAMS, CHUNKS = 1000, 400
REQUESTS, SEGMENT = 300_000, 25_000
NONCES, CUT_SHARE = 50_000, 0.4
STALLED = 500
STARVED = 10_000
AT_ONCE = 32
MAX_STREAM_KIB, MAX_SLOPE_MIB, GRACE_S = 40.0, 4.0, 2.0


class Run:
    """One Lectr process, one provider, and what is seen of both."""

    def __init__(
        self, port: int, key: str, upstream: Upstream, looked: Looked, share: float, limits: dict[str, float]
    ) -> None:
        self.port, self.key, self.upstream, self.looked = port, key, upstream, looked
        self.share, self.limits = share, limits
        self.tally = Tally()

    def many(self, number: int) -> int:
        return max(8, int(number * self.share))


async def _one_stream(run: Run, number: int, chunks: int) -> None:
    nonce, own = b"s%d" % number, number % 2 == 0
    caller = await connect(run.port)
    done = caller.begin(keep_body=False)
    assert caller.transport is not None
    caller.transport.write(request(run.key, nonce, b"stream %d" % chunks, stream=True, usage=own))
    await done
    wanted = [load.event(nonce, at, null=own) for at in range(chunks)]
    digest = hashlib.blake2b(b"".join([*wanted, load.USAGE_EVENT if own else b"", load.DONE]))
    run.tally.check(caller.status == 200 and caller.whole, f"a stream ended with {caller.status}, {caller.whole}")
    run.tally.check(caller.digest.digest() == digest.digest(), "a stream's bytes are others")
    if caller.transport is not None:
        caller.transport.close()


async def streams(run: Run) -> None:
    """F20: all complete, byte for byte; memory and descriptors bounded while they run and free afterwards."""
    count, chunks = run.many(STREAMS), max(20, int(CHUNKS * min(1.0, run.share * 2)))
    await asyncio.gather(*(_one_stream(run, number, 10) for number in range(min(50, count))))
    await asyncio.sleep(1.0)
    before, descriptors = run.looked.rss, run.looked.descriptors
    tasks = int(run.looked.beat()["tasks"])
    peaks: list[int] = []
    for again in range(2):
        with turn():
            began = time.monotonic()
            running = asyncio.gather(*(_one_stream(run, number, chunks) for number in range(count)))
            peak = most_descriptors = 0
            while not running.done():
                await asyncio.sleep(0.2)
                peak, most_descriptors = max(peak, run.looked.rss), max(most_descriptors, run.looked.descriptors)
            await running
        peaks.append(peak)
        per_stream = (peak - before) / count / KIB
        took = time.monotonic() - began
        run.tally.measured[f"round {again + 1}"] = {
            "streams": count, "took_s": round(took, 1), "kib_per_stream": round(per_stream, 1),
            "descriptors": most_descriptors,
        }  # fmt: skip
        run.tally.check(most_descriptors <= 2 * count + 64 + descriptors, f"{most_descriptors} descriptors")
        if run.share >= 1:
            run.tally.check(per_stream <= MAX_STREAM_KIB, f"{per_stream:.0f} KiB a stream")
    run.tally.check(peaks[1] - peaks[0] <= count * 8 * KIB + 4 * MIB, f"the second round took more: {peaks}")
    # Idle connections to the provider stay open for half a minute; nothing else does.
    idle = len(run.upstream.open)
    free = await run.looked.quiet(descriptors + idle, tasks)
    run.tally.measured["afterwards"] = {**free, "idle connections": idle, "before": descriptors, "tasks before": tasks}
    run.tally.check(free["descriptors"] <= descriptors + idle, f"{free} left")
    run.tally.check(free["tasks"] <= tasks + 1, f"{free} left")


DOINGS = (
    *[(b"whole", False)] * 8, *[(b"late", False)] * 3, *[(b"stream 1", True)] * 3, (b"error 429", False),
    (b"error 500", False), (b"reset", False), (b"cut", False),
)  # fmt: skip
EXPECTED = {b"whole": {200}, b"late": {200}, b"stream": {200}, b"error": {429, 500}, b"reset": {502}, b"cut": {200}}


async def _mixed(run: Run, numbers: Iterator[int], chance: random.Random, cut_share: float) -> None:
    """One caller: request after request on its connection, a new one where the last was left or ended."""
    caller: Caller | None = None
    for number in numbers:
        if caller is None or caller.closed or caller.transport is None:
            caller = await connect(run.port)
            assert caller.transport is not None
        do, stream = chance.choice(DOINGS)
        nonce = b"n%d-%08x" % (number, chance.getrandbits(32))
        sent = request(run.key, nonce, do, stream=stream)
        leaves = chance.random() < cut_share
        in_request = leaves and chance.random() < 0.3
        done = caller.begin(cut_after=chance.randrange(1, 700) if leaves and not in_request else None)
        caller.transport.write(sent[: chance.randrange(1, len(sent))] if in_request else sent)
        if in_request or (leaves and chance.random() < 0.7):
            # Long before, while and after Lectr works on it.
            await asyncio.wait((done,), timeout=chance.random() * 0.03)
            if caller.transport is not None:
                caller.transport.abort()
        await asyncio.wait((done,), timeout=60)
        run.tally.check(done.done(), "no answer within a minute")
        body = bytes(caller.body or b"")
        mine = body.count(nonce)
        others = len(re.findall(rb"n\d+-[0-9a-f]{8}", body)) - mine
        run.tally.check(others == 0, "an answer of somebody else")
        if caller.whole and not leaves:
            word = do.partition(b" ")[0]
            run.tally.check(caller.status in EXPECTED[word], f"{word.decode()} got {caller.status}: {body[:150]!r}")
            run.tally.check(mine >= 1 or word not in (b"whole", b"late", b"stream"), "an answer without its nonce")
        elif not leaves:
            run.tally.check(do in (b"cut",), f"{do.decode()} did not end")
        if leaves or not caller.whole:
            if caller.transport is not None:
                caller.transport.abort()
            caller = None
    if caller is not None and caller.transport is not None:
        caller.transport.close()


async def _traffic(run: Run, count: int, cut_share: float, seed: int) -> None:
    numbers = iter(range(count))
    chances = [random.Random(seed * 1000 + worker) for worker in range(AT_ONCE)]
    await asyncio.gather(*(_mixed(run, numbers, chance, cut_share) for chance in chances))


async def memory(run: Run) -> None:
    """F22: after the warm-up memory grows by at most 4 MiB for 100,000 requests; no task and no descriptor stays."""
    await _traffic(run, run.many(SEGMENT) // 5, 0.1, 1)
    await asyncio.sleep(1.5)
    tasks, base = int(run.looked.beat()["tasks"]), run.looked.descriptors - len(run.upstream.open)
    seen: list[tuple[int, int]] = []
    total, segment = run.many(REQUESTS), run.many(SEGMENT)
    for sent in range(0, total, segment):
        with turn():
            await _traffic(run, segment, 0.1, sent + 7)
        await asyncio.sleep(1.0)
        seen.append((sent + segment, run.looked.rss))
        print(f"  {seen[-1][0]:,} requests: {seen[-1][1] / MIB:.1f} MiB", flush=True)
    steady = seen[len(seen) // 3 :]
    slope = _slope(steady) * 100_000 / MIB
    run.tally.measured |= {"requests": total, "mib_per_100000": round(slope, 2), "rss_mib": [r // MIB for _, r in seen]}
    if run.share >= 0.3:
        run.tally.check(slope <= MAX_SLOPE_MIB, f"memory grows by {slope:.1f} MiB each 100,000 requests")
    await _nothing_stays(run, tasks, base)


async def _nothing_stays(run: Run, tasks: int, base: int) -> None:
    """No descriptor but those of idle connections to the provider, and no task."""
    # The two segments of the spool in use may be others than before, and a reader of the database more.
    idle = len(run.upstream.open) + 4
    free = await run.looked.quiet(base + idle, tasks)
    run.tally.measured["afterwards"] = {**free, "base": base, "tasks before": tasks, "idle": idle - 4}
    run.tally.check(free["descriptors"] <= base + idle, f"descriptors stay: {free}, {base}")
    run.tally.check(free["tasks"] <= tasks + 1, f"tasks stay: {free}, {tasks}")


def _slope(points: list[tuple[int, int]]) -> float:
    """Bytes a request, by least squares."""
    middle = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    spread = sum((x - middle[0]) ** 2 for x, _ in points)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in points) / spread if spread else 0.0


async def nonces(run: Run) -> None:
    """T36: nobody gets an answer that is another's, however the callers before it left."""
    await _traffic(run, AT_ONCE * 4, CUT_SHARE, 3)
    await asyncio.sleep(1.2)
    tasks, base = int(run.looked.beat()["tasks"]), run.looked.descriptors - len(run.upstream.open)
    total, segment = run.many(NONCES), run.many(SEGMENT // 2)
    for sent in range(0, total, segment):
        with turn():
            await _traffic(run, min(segment, total - sent), CUT_SHARE, sent + 13)
    run.tally.measured |= {"requests": total, "reached the provider": run.upstream.requests}
    await _nothing_stays(run, tasks, base)


async def _good(run: Run, until: float, waits: list[float]) -> None:
    number = 0
    while time.monotonic() < until:
        caller = await connect(run.port)
        number += 1
        nonce, began = b"g%d" % number, time.monotonic()
        done = caller.begin()
        assert caller.transport is not None
        caller.transport.write(request(run.key, nonce, b"whole"))
        await asyncio.wait((done,), timeout=30)
        waits.append(time.monotonic() - began)
        run.tally.check(caller.status == 200 and nonce in (caller.body or b""), f"good traffic got {caller.status}")
        if caller.transport is not None:
            caller.transport.close()
        await asyncio.sleep(0.02)


LIMITS = {"header": 10.0, "drip": 10.0, "body": 15.0, "reading": 60.0}
SHORT_LIMITS = {"header": 2.0, "drip": 2.0, "body": 2.0, "reading": 3.0}


async def _stall(run: Run, kind: str, limit: float) -> None:
    caller = await connect(run.port, window=8192 if kind == "reading" else None)
    began, transport = time.monotonic(), caller.transport
    assert transport is not None
    done = caller.begin(keep_body=False)
    if kind == "reading":
        transport.pause_reading()
        transport.write(request(run.key, b"x", b"flood", stream=True, usage=True))
        # Who does not read does not see the end either: the provider behind Lectr does.
        await asyncio.sleep(limit + GRACE_S + 6)
        run.tally.check(not caller.whole, "reading: the answer was whole")
    else:
        whole = request(run.key, b"x", b"whole")
        transport.write(whole[:60] if kind in ("header", "drip") else whole[:-20])
        while not done.done() and time.monotonic() - began < limit + GRACE_S + 5:
            if kind == "drip" and caller.transport is not None:
                caller.transport.write(b"y")
            await asyncio.wait((done,), timeout=0.5)
        took = time.monotonic() - began
        run.tally.check(done.done() and took <= limit + GRACE_S + 0.5, f"{kind}: closed after {took:.0f} s")
        run.tally.check(took >= limit * 0.8, f"{kind}: closed too soon, after {took:.1f} s")
    if caller.transport is not None:
        caller.transport.abort()


async def stalled(run: Run) -> None:
    """T28: each is closed at its deadline plus two seconds; good traffic never fails meanwhile."""
    each = run.many(STALLED) // 4
    waits: list[float] = []
    until = time.monotonic() + run.limits["reading"] + GRACE_S + 4
    good = [asyncio.create_task(_good(run, until, waits)) for _ in range(4)]
    await asyncio.gather(*(_stall(run, kind, limit) for kind, limit in run.limits.items() for _ in range(each)))
    await asyncio.gather(*good)
    blocked, limit = sorted(run.upstream.blocked_s), run.limits["reading"]
    run.tally.check(len(blocked) == each, f"reading: {len(blocked)} of {each} were closed")
    run.tally.check(not blocked or blocked[-1] <= limit + GRACE_S, f"reading: closed after {blocked[-1:]} s")
    run.tally.check(not blocked or blocked[0] >= limit * 0.5, f"reading: closed too soon, after {blocked[:1]} s")
    waits.sort()
    run.tally.measured |= {
        "stalled": each * 4, "good requests": len(waits), "good p50 ms": round(waits[len(waits) // 2] * 1000, 1),
        "good p99 ms": round(waits[int(len(waits) * 0.99)] * 1000, 1),
    }  # fmt: skip


async def starved(run: Run) -> None:
    """F33: four processes that only compute beside Lectr: slower, and nothing fails or is missing in the ledger."""
    count, before = run.many(STARVED), await asyncio.to_thread(_rows, run)
    command = [sys.executable, "-c", "while True: pass"]
    with turn():
        burning = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]
        try:
            began = time.monotonic()
            await _traffic(run, count, 0.0, 33)
            took = time.monotonic() - began
        finally:
            for burner in burning:
                burner.kill()
            await asyncio.gather(*(burner.wait() for burner in burning))
    deadline = time.monotonic() + 20
    while (rows := await asyncio.to_thread(_rows, run) - before) != count and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    run.tally.measured |= {"requests": count, "took_s": round(took, 1), "rows": rows}
    run.tally.check(rows == count, f"{rows} rows of {count} requests")


def _rows(run: Run) -> int:
    answer = httpx.get(
        f"http://127.0.0.1:{run.port}/api/usage?by=day", headers={"authorization": f"Bearer {ADMIN}"}, timeout=20
    )
    return int(answer.json()["total"]["requests"])


PARTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "streams": streams, "memory": memory, "nonces": nonces, "stalled": stalled, "starved": starved,
}  # fmt: skip


async def _run(part: str, share: float, folder: Path) -> Tally:
    limits = LIMITS if share >= 1 else SHORT_LIMITS
    settings = {
        "LECTR_CLIENT_HEADERS_TIMEOUT_S": str(limits["header"]), "LECTR_CLIENT_BODY_TIMEOUT_S": str(limits["body"]),
        "LECTR_CLIENT_WRITE_TIMEOUT_S": str(limits["reading"]),
    }  # fmt: skip
    async with load.upstream_running() as upstream:
        process, port, key = await asyncio.to_thread(lambda: start(folder, upstream.address, **settings))
        try:
            await asyncio.sleep(1.5)
            run = Run(port, key, upstream, Looked(process.pid, folder / "heartbeat.json"), share, limits)
            await PARTS[part](run)
            run.tally.check(process.poll() is None, "Lectr ended")
            await asyncio.sleep(1.5)
            run.tally.measured["loop"] = run.looked.beat()
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 40)
            if process.stdout is not None:
                process.stdout.close()
    logged = [line for line in (folder / "errors").read_text().splitlines() if '"level": "error"' in line]
    run.tally.check(not logged, f"logged: {logged[:1]}")
    run.tally.check(process.returncode == 0, f"Lectr ended with {process.returncode}")
    return run.tally


def soak(part: str, share: float) -> Tally:
    """Run one part; what was measured, and what does not hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    try:
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(part, share, Path(folder)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def main() -> int:
    parts = [sys.argv[1]] if len(sys.argv) > 1 else list(PARTS)
    share = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    bad = 0
    for part in parts:
        began = time.monotonic()
        tally = soak(part, share)
        print(f"{part}: {time.monotonic() - began:.0f} s, {tally.measured}", flush=True)
        for problem, times in tally.problems.most_common(20):
            print(f"  {times} x {problem}", flush=True)
        bad += len(tally.problems)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
