"""A provider under a test's full control: a bare asyncio server that keeps what reached it and plays what it is told.

A test puts the name of a play into the header `x-play`; without one the answer is a small chat completion.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

Play = Callable[["Call"], Awaitable[None]]
MAX_HEAD = 1024 * 1024
WAITS_S = 5.0

USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


class Seen:
    """One request that reached the provider. `left_at` is when Lectr closed the connection before the play's end."""

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], connection: int) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.connection = connection
        self.body = b""
        self.left_at: float | None = None
        self.over = threading.Event()

    def header(self, name: str) -> str | None:
        return next((value for field, value in self.headers if field == name), None)

    def names(self) -> list[str]:
        return [name for name, _ in self.headers]


class Call:
    """The provider's side of one request, for a play."""

    def __init__(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.seen = seen
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, *fields: tuple[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in fields)]
        await self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def whole(self, status: int, body: bytes, *fields: tuple[str, str]) -> None:
        await self.head(status, *fields, ("content-length", str(len(body))))
        await self.send(body)

    async def json(self, document: object, status: int = 200, *fields: tuple[str, str]) -> None:
        await self.whole(status, json.dumps(document).encode(), ("content-type", "application/json"), *fields)

    async def stream(self, *events: bytes) -> None:
        """Begin a chunked event stream."""
        await self.head(200, ("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))
        for event in events:
            await self.chunk(event)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        # A transport's own socket is not at hand under uvloop's or asyncio's rules; its options are.
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    def hang_up(self) -> None:
        """End the connection in the plain way, whatever was promised."""
        self._writer.close()


async def chat(call: Call) -> None:
    """The answer where no play was asked for; a stream where the body says so."""
    try:
        document: Any = json.loads(call.seen.body)
    except ValueError:
        document = {}
    if not isinstance(document, dict) or not document.get("stream"):
        await call.json(CHAT)
        return
    asked = bool((document.get("stream_options") or {}).get("include_usage"))
    await call.stream(*chat_events("Hello", usage=asked))
    await call.end()


def chat_events(*texts: str, usage: bool, done: bool = True) -> list[bytes]:
    """The events of a streamed chat completion; with `usage` as OpenAI sends it where it was asked for."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": CHAT["model"]}
    null: dict[str, Any] = {"usage": None} if usage else {}
    chunks: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **null} for text in texts
    ]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **null})
    if usage:
        chunks.append({**base, "choices": [], "usage": USAGE})
    events = [b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n" for chunk in chunks]
    return [*events, b"data: [DONE]\n\n"] if done else events


class Provider:
    """The running server. `seen` holds every request in order; `connections` counts those ever opened."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.plays: dict[str, Play] = {}
        self.default: Play = chat
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plays_as(self, play: Play) -> dict[str, str]:
        """The header that asks for `play`."""
        name = f"{play.__qualname__}-{len(self.plays)}"
        self.plays[name] = play
        return {"x-play": name}

    def asked(self, name: str, value: str) -> Seen:
        """The one request that came with this header field; waits for it."""
        deadline = time.monotonic() + WAITS_S
        while True:
            found = [seen for seen in self.seen if seen.header(name) == value]
            if found:
                assert len(found) == 1
                return found[0]
            assert time.monotonic() < deadline, f"no request with {name}: {value} reached the provider"
            time.sleep(0.002)

    def played(self, headers: dict[str, str]) -> Seen:
        """The one request of a play."""
        return self.asked("x-play", headers["x-play"])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number, first = self.connections, b""
        try:
            while True:
                seen = await self._read(reader, first, number)
                first = await self._play(Call(seen, writer), reader)
                if not first or writer.transport.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, first: bytes, number: int) -> Seen:
        head = first + await reader.readuntil(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = request.split(" ", 2)
        pairs = [line.partition(": ") for line in lines]
        seen = Seen(method, target, [(name.lower(), value) for name, _, value in pairs], number)
        self.seen.append(seen)
        try:
            if seen.header("transfer-encoding") == "chunked":
                while size := int(await reader.readline(), 16):
                    seen.body += await reader.readexactly(size)
                    await reader.readexactly(2)
                await reader.readexactly(2)
            else:
                seen.body = await reader.readexactly(int(seen.header("content-length") or 0))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            seen.left_at = time.monotonic()
            seen.over.set()
            raise ConnectionError from None
        return seen

    async def _play(self, call: Call, reader: asyncio.StreamReader) -> bytes:
        """Play until the end, or until Lectr hangs up; gives the first byte of the next request."""
        play = self.plays.get(call.seen.header("x-play") or "", self.default)
        playing = asyncio.ensure_future(play(call))
        listening = asyncio.ensure_future(_first_byte(reader))
        await asyncio.wait((playing, listening), return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            call.seen.left_at = time.monotonic()
            playing.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await playing
        call.seen.over.set()
        return await listening


async def _first_byte(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1)
    except ConnectionError:
        return b""


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port, in a thread of its own, until the block ends."""
    provider, loop = Provider(), asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, limit=MAX_HEAD)
        provider.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="provider", daemon=True)
    thread.start()
    assert ready.wait(WAITS_S)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAITS_S)
        loop.close()
