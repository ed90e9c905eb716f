"""Runs about clients: a thousand that hang up at any byte, and a shutdown while some read and others do not."""

import asyncio
import random
import time
from pathlib import Path

from tests.faults.clients import TERMINAL, Seen, read_answer, request_bytes
from tests.faults.oracle import judge
from tests.faults.runs import Run, box
from tests.faults.upstream import MODEL

AT_ONCE = 20
LONGEST_BYTES = 6000


def hang_ups(folder: Path, count: int = 1000, *, control: str | None = None) -> Run:
    """Clients of streams that never end hang up after any number of bytes; how soon does the provider know?"""
    draw = random.Random(10)
    seen: list[Seen] = []
    left_ns: dict[str, int] = {}
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(port: int, key: str, number: int) -> None:
        nonce = f"nonce-left-{number}"
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": f"{nonce} endless"}]}
        async with turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            seen.append(Seen(nonce, streams=True, asks_usage=False, left=True))
            writer.write(request_bytes(key, nonce, body))
            wanted = draw.randrange(LONGEST_BYTES)
            while wanted > 0:
                wanted -= len(await asyncio.wait_for(reader.read(wanted), 30))
            if wanted == 0 and not draw.randrange(4):
                # Some are gone before a byte has come.
                await asyncio.sleep(draw.random() * 0.02)
            left_ns[nonce] = time.monotonic_ns()
            writer.transport.abort()

    with box(folder, control) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()

        async def run() -> None:
            await asyncio.gather(*(one(gateway.port, key, number) for number in range(count)))

        asyncio.run(run())
        time.sleep(1)
        health = gateway.settle()
        closed = provider.closings()
        assert gateway.terminate() == 0
        arrived = provider.arrived()
        took = sorted((closed.get(nonce, left_ns[nonce] + 10**11) - left_ns[nonce]) / 1e6 for nonce in arrived)
        p99 = took[len(took) * 99 // 100]
        verdict = judge(seen, arrived, gateway.settings)
        notes = {"closed_p50_ms": round(took[len(took) // 2], 1), "closed_p99_ms": round(p99, 1), "rows": verdict.rows}
        return Run(verdict, gateway.ready_s, health, failures=count - verdict.rows, notes=notes)


def shutdown(
    folder: Path, *, live: int = 100, stalled: int = 100, drain_s: float = 25.0, control: str | None = None
) -> Run:
    """SIGTERM, and another a second later, while `live` streams go on and `stalled` clients do nothing.

    No stream that needed a second less than the drain lasts may be cut; it ends within 3 s of that, with exit code 0.
    """
    draw = random.Random(11)
    seen: list[Seen] = []

    async def stream(port: int, key: str, number: int) -> None:
        nonce = f"nonce-live-{number}"
        steps = draw.randrange(20, int((drain_s - 1) * 20))
        body = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
        body["messages"] = [{"role": "user", "content": f"{nonce} lasts {steps}"}]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        one = Seen(nonce, streams=True, asks_usage=False)
        seen.append(one)
        writer.write(request_bytes(key, nonce, body))
        try:
            await read_answer(reader, one)
        except (OSError, asyncio.IncompleteReadError):
            one.complete = False
        # A stream that was ended with an error event is whole as a message, and cut all the same.
        one.complete = one.complete and one.body.endswith(TERMINAL)
        writer.close()

    async def stall(port: int, key: str, number: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        nonce = f"nonce-stalled-{number}"
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": f"{nonce} endless"}]}
        content = request_bytes(key, nonce, body)
        kind = number % 3
        # It never reads its answer, or ends its head, or its body.
        seen.append(Seen(nonce, streams=True, asks_usage=False, left=True))
        writer.write((content, content[:40], content[:-20])[kind])
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        return writer

    with box(folder, control, environ={"LECTR_DRAIN_TIMEOUT_S": str(drain_s)}) as (provider, gateway):
        key = gateway.make_key()
        gateway.start()

        async def run() -> tuple[int, float]:
            streams = [asyncio.create_task(stream(gateway.port, key, number)) for number in range(live)]
            stalls = [await stall(gateway.port, key, number) for number in range(stalled)]
            while len(provider.arrived()) < live + len(range(0, stalled, 3)):
                await asyncio.sleep(0.05)
            began = time.monotonic()
            gateway.ask_to_end()
            await asyncio.sleep(1)
            gateway.ask_to_end()
            ended = await asyncio.to_thread(gateway.wait)
            took = time.monotonic() - began
            await asyncio.gather(*streams)
            for writer in stalls:
                writer.transport.abort()
            return ended, took

        ended, took = asyncio.run(run())
        cut = sum(one.failed for one in seen)
        verdict = judge(seen, provider.arrived(), gateway.settings)
        notes = {"exit": ended, "end_s": round(took, 1), "cut": cut}
        late = int(took > drain_s + 3)
        health = {"ledger_lost": 0, "ledger_unconfirmed": 0, "ledger_parked": 0}
        return Run(verdict, gateway.ready_s, health, failures=cut + abs(ended) + late, notes=notes)
