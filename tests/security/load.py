"""Much traffic against a real Lectr process: a provider and callers made for thousands of connections at once.

Each answer carries its request's own nonce, so that an answer in the wrong hands is seen.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httptools
import psutil

_FIELD = re.compile(rb"\r\n(x-nonce|x-do|content-length): ([^\r]*)", re.IGNORECASE)
TICK_S = 0.05


def event(nonce: bytes, number: int, *, null: bool) -> bytes:
    """One chunk of a streamed answer; with `null` as it comes where usage was asked for."""
    head = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[{"index":0,'
    usage = b',"usage":null' if null else b""
    return head + b'"delta":{"content":"%b %d"},"finish_reason":null}]%b}\n\n' % (nonce, number, usage)


USAGE_EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}\n\n'
)
DONE = b"data: [DONE]\n\n"


def document(nonce: bytes) -> bytes:
    """A whole answer."""
    return (
        b'{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"%b"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}' % nonce
    )


class Upstream:
    """A provider. `x-do` of a request says what it does: whole, late, stream N, flood, error, reset, cut."""

    def __init__(self) -> None:
        self.port = 0
        self.requests = 0
        self.open: set[_Served] = set()
        self.blocked_s: list[float] = []
        """For each flood: how long nobody took its bytes before the connection ended."""
        self.streams: dict[_Served, tuple[bytes, int, int, bool]] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def tick(self) -> None:
        """Every stream's next chunk, every 50 ms; one loop for all, since a timer each would cost more than they."""
        while True:
            began = time.monotonic()
            for served, (nonce, number, count, asked) in list(self.streams.items()):
                if number < count:
                    served.chunk(event(nonce, number, null=asked))
                    self.streams[served] = (nonce, number + 1, count, asked)
                else:
                    if asked:
                        served.chunk(USAGE_EVENT)
                    served.chunk(DONE)
                    served.write(b"0\r\n\r\n")
                    self.streams.pop(served, None)
            await asyncio.sleep(max(0.0, began + TICK_S - time.monotonic()))


class _Served(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._flooding = False
        self._blocked_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._upstream.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.open.discard(self)
        self._upstream.streams.pop(self, None)
        self._transport = None
        if self._flooding and self._blocked_at is not None:
            self._upstream.blocked_s.append(time.monotonic() - self._blocked_at)

    def pause_writing(self) -> None:
        self._blocked_at = time.monotonic()

    def resume_writing(self) -> None:
        self._flood()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            fields = {name.lower(): value for name, value in _FIELD.findall(self._buffer[:end])}
            length = int(fields.get(b"content-length", b"0"))
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._upstream.requests += 1
            self._do(fields.get(b"x-do", b"whole"), fields.get(b"x-nonce", b"none"), body)

    def _do(self, what: bytes, nonce: bytes, body: bytes) -> None:
        word, _, number = what.partition(b" ")
        if word == b"stream":
            self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            self._upstream.streams[self] = (nonce, 0, int(number), b"include_usage" in body)
        elif word == b"flood":
            self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            self._flooding = True
            self._flood()
        elif word == b"late":
            asyncio.get_running_loop().call_later(random.random() * 0.02, self._whole, 200, document(nonce))
        elif word == b"error":
            self._whole(int(number), b'{"error":{"message":"no","code":"rate_limit_exceeded"}}')
        elif word == b"reset" and self._transport is not None:
            self._transport.abort()
        elif word == b"cut" and self._transport is not None:
            self.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            self._transport.close()
        else:
            self._whole(200, document(nonce))

    def _whole(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.write(head % (status, len(body)) + body)

    def _flood(self) -> None:
        transport = self._transport
        while self._flooding and transport is not None and transport.get_write_buffer_size() < 256 * 1024:
            self.chunk(event(b"flood", 0, null=False) * 100)


@asynccontextmanager
async def upstream_running() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.get_running_loop().create_server(lambda: _Served(upstream), "127.0.0.1", 0, backlog=4096)
    upstream.port = server.sockets[0].getsockname()[1]
    ticking = asyncio.create_task(upstream.tick())
    try:
        yield upstream
    finally:
        ticking.cancel()
        server.close()


class Caller(asyncio.Protocol):
    """One connection with one request after the other. `done` is set when the answer's end, or the connection's, came.

    `cut_after`: hang up once so many bytes have come.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._parser: Any = None
        self.done: asyncio.Future[None] | None = None
        self.cut_after: int | None = None
        self.status = 0
        self.whole = False
        self.size = 0
        self.digest: Any = None
        self.body: bytearray | None = None
        self.closed = False
        self._seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def begin(self, *, keep_body: bool = True, cut_after: int | None = None) -> "asyncio.Future[None]":
        self._parser = httptools.HttpResponseParser(self)
        self.done = asyncio.get_running_loop().create_future()
        self.cut_after, self.status, self.whole, self.size, self._seen = cut_after, 0, False, 0, 0
        self.digest, self.body = hashlib.blake2b(), bytearray() if keep_body else None
        return self.done

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        if self._parser is not None:
            self._parser.feed_data(data)
        if self.cut_after is not None and self._seen >= self.cut_after and self.transport is not None:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        self.digest.update(body)
        if self.body is not None:
            self.body += body

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.whole = True
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.transport = None
        self._finish()

    def _finish(self) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(None)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """Where several share a machine, LECTR_SOAK_LOCK names the lock that says whose turn it is to load it."""
    path = os.environ.get("LECTR_SOAK_LOCK")
    if path is None:
        yield
        return
    with Path(path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def connect(port: int, *, window: int | None = None) -> Caller:
    """A connection to Lectr; `window` bytes are all that the kernel takes for it while it does not read."""
    loop = asyncio.get_running_loop()
    if window is None:
        return (await loop.create_connection(Caller, "127.0.0.1", port))[1]
    connected = socket.socket()
    connected.setblocking(False)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    await loop.sock_connect(connected, ("127.0.0.1", port))
    return (await loop.create_connection(Caller, sock=connected))[1]


def request(key: str, nonce: bytes, do: bytes, *, stream: bool = False, usage: bool = False) -> bytes:
    """A chat completion as bytes; `usage` where the caller itself asks for the usage of its stream."""
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": nonce.decode()}]}
    if stream:
        asked["stream"] = True
    if usage:
        asked["stream_options"] = {"include_usage": True}
    body = json.dumps(asked).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-lectr-key: %b\r\nauthorization: Bearer sk-load\r\n"
    head += b"x-nonce: %b\r\nx-do: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (key.encode(), nonce, do, len(body)) + body


class Looked:
    """A process seen from outside, and its loop through its heartbeat."""

    def __init__(self, pid: int, heartbeat: Path) -> None:
        self._process = psutil.Process(pid)
        self._heartbeat = heartbeat

    @property
    def rss(self) -> int:
        size: int = self._process.memory_info().rss
        return size

    @property
    def descriptors(self) -> int:
        count: int = self._process.num_fds()
        return count

    def beat(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._heartbeat.read_text())
        return found

    async def quiet(self, descriptors: int, tasks: int, within_s: float = 20.0) -> dict[str, int]:
        """Waits until there are no more descriptors and tasks than these; what there is then."""
        deadline = time.monotonic() + within_s
        while True:
            found = {"descriptors": self.descriptors, "tasks": int(self.beat()["tasks"])}
            if (found["descriptors"] <= descriptors and found["tasks"] <= tasks) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.2)


class Tally:
    """What went wrong, by kind, and what was measured."""

    def __init__(self) -> None:
        self.problems: Counter[str] = Counter()
        self.measured: dict[str, Any] = {}

    def check(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems[problem] += 1
