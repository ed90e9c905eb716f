"""A provider in a process of its own that keeps its own log: the second witness.

Every answer follows from the nonce in the prompt alone, so a client can tell what it must have got. One line of the
log per request that arrived: `nonce`; it is in the kernel's hands before the answer begins. Where a caller hangs up
in the middle of an answer, CLOSED gets a line `nonce`, nanoseconds of the machine's monotonic clock.
A prompt with `lasts N` in it is streamed in that many steps of 50 ms, one with `endless` until the caller hangs up.
Run: python -m tests.faults.upstream LOG PORT_FILE CLOSED
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import sys
import time
import zlib
from pathlib import Path
from typing import Any

LASTS = re.compile(rb"lasts ([0-9]+)")
STEP_S = 0.05
NONCE = re.compile(rb"nonce-[0-9a-z-]+")
MODEL = "gpt-4o-mini"
PIECES = 12
PROMPT = "--prompt" in sys.argv


def usage_of(nonce: str) -> dict[str, int]:
    """What the provider says it used: other numbers for every nonce."""
    seed = zlib.crc32(nonce.encode())
    prompt, completion = 10 + seed % 1000, 1 + seed // 1000 % 500
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def json_answer(nonce: str) -> bytes:
    """The body of an answer that does not stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": nonce * 20}, "finish_reason": "stop"}
    document = {"id": nonce, "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return json.dumps(document | {"usage": usage_of(nonce)}).encode()


def _event(nonce: str, choices: list[Any], usage: dict[str, int] | None) -> bytes:
    document = {"id": nonce, "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
    return b"data: " + json.dumps(document | {"usage": usage}).encode() + b"\n\n"


def delta(nonce: str, text: str) -> bytes:
    """One event with text in it."""
    return _event(nonce, [{"index": 0, "delta": {"content": text}, "finish_reason": None}], None)


def stream_answer(nonce: str) -> list[bytes]:
    """The events of a stream."""
    events = [delta(nonce, f"{nonce} {number}") for number in range(PIECES)]
    events.append(_event(nonce, [{"index": 0, "delta": {}, "finish_reason": "stop"}], None))
    return [*events, _event(nonce, [], usage_of(nonce)), b"data: [DONE]\n\n"]


def pause_of(nonce: str) -> float:
    """Seconds between the events of a stream, or before an answer: 0 to 20 ms, none for a prompt provider."""
    return 0.0 if PROMPT else zlib.crc32(nonce.encode()) % 5 * 0.005


class Logs:
    """Where requests and hang-ups are noted."""

    def __init__(self, requests: Path, closed: Path) -> None:
        self._requests, self._closed = (
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for path in (requests, closed)
        )

    def arrived(self, nonce: str) -> None:
        os.write(self._requests, nonce.encode() + b"\n")

    def hung_up(self, nonce: str) -> None:
        os.write(self._closed, b"%s %d\n" % (nonce.encode(), time.monotonic_ns()))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, logs: Logs) -> None:
    early = b""
    try:
        while True:
            head = early + await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            found = NONCE.search(body)
            assert found is not None, body[:200]
            nonce = found[0].decode()
            logs.arrived(nonce)
            answering = asyncio.create_task(_answer_if_heard(writer, nonce, body))
            # A caller that is patient sends nothing while it waits; what it sends then begins its next request.
            hearing = asyncio.create_task(_hear(reader))
            await asyncio.wait([answering, hearing], return_when=asyncio.FIRST_COMPLETED)
            if hearing.done() and not hearing.result():
                logs.hung_up(nonce)
                answering.cancel()
                await asyncio.wait([answering])
                return
            await answering
            hearing.cancel()
            await asyncio.wait([hearing])
            early = b"" if hearing.cancelled() else hearing.result()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _hear(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


async def _answer_if_heard(writer: asyncio.StreamWriter, nonce: str, body: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        await _answer(writer, nonce, body)


async def _answer(writer: asyncio.StreamWriter, nonce: str, body: bytes) -> None:
    pause = pause_of(nonce)
    if b'"stream": true' not in body and b'"stream":true' not in body:
        await asyncio.sleep(pause)
        answer = json_answer(nonce)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
        )
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    lasts = LASTS.search(body)
    if b"endless" in body or lasts is not None:
        steps = itertools.count() if lasts is None else range(int(lasts[1]))
        pause = 0.0
        step_s = STEP_S if lasts is not None else 0.02
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in steps:
            await _send(writer, delta(nonce, f"{nonce} step {number}"))
            # By the clock, so that a stream lasts as long as it says, however busy the machine is.
            await asyncio.sleep(max(0.0, began + (number + 1) * step_s - loop.time()))
    for event in stream_answer(nonce):
        await _send(writer, event)
        await asyncio.sleep(pause)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _send(writer: asyncio.StreamWriter, event: bytes) -> None:
    writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
    await writer.drain()


async def main(log_path: Path, port_file: Path, closed_path: Path) -> None:
    """Serve until the process ends."""
    logs = Logs(log_path, closed_path)
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, logs), "127.0.0.1", 0, limit=2**20
    )
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
