"""A provider in a process of its own that keeps its own log: the second witness.

Every answer follows from the nonce in the prompt alone, so a client can tell what it must have got. One line of the
log per request that arrived: `nonce`; it is in the kernel's hands before the answer begins.
Run: python -m tests.faults.upstream LOG PORT_FILE
"""

import asyncio
import json
import os
import re
import sys
import zlib
from pathlib import Path
from typing import Any

NONCE = re.compile(rb"nonce-[0-9a-z-]+")
MODEL = "gpt-4o-mini"
PIECES = 12


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


def stream_answer(nonce: str) -> list[bytes]:
    """The events of a stream."""

    def event(choices: list[Any], usage: dict[str, int] | None) -> bytes:
        document = {"id": nonce, "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
        return b"data: " + json.dumps(document | {"usage": usage}).encode() + b"\n\n"

    events = [
        event([{"index": 0, "delta": {"content": f"{nonce} {number}"}, "finish_reason": None}], None)
        for number in range(PIECES)
    ]
    events.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}], None))
    return [*events, event([], usage_of(nonce)), b"data: [DONE]\n\n"]


def pause_of(nonce: str) -> float:
    """Seconds between the events of a stream, or before an answer: 0 to 20 ms."""
    return zlib.crc32(nonce.encode()) % 5 * 0.005


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: int) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            found = NONCE.search(body)
            assert found is not None, body[:200]
            nonce = found[0].decode()
            os.write(log, found[0] + b"\n")
            await _answer(writer, nonce, streams=b'"stream": true' in body or b'"stream":true' in body)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _answer(writer: asyncio.StreamWriter, nonce: str, *, streams: bool) -> None:
    pause = pause_of(nonce)
    if not streams:
        await asyncio.sleep(pause)
        body = json_answer(nonce)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for event in stream_answer(nonce):
        writer.write(b"%x\r\n" % len(event) + event + b"\r\n")
        await writer.drain()
        await asyncio.sleep(pause)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def main(log_path: Path, port_file: Path) -> None:
    """Serve until the process ends."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = await asyncio.start_server(lambda reader, writer: _serve(reader, writer, log), "127.0.0.1", 0, limit=2**20)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
