"""Sixty-four clients that note everything they see: the first witness."""

import asyncio
import itertools
import json
import random
import re
import time
from collections.abc import Iterator

import msgspec

from tests.faults.upstream import MODEL, json_answer, stream_answer

CLIENTS = 64
TERMINAL = b"data: [DONE]\n\n"


class Seen(msgspec.Struct):
    """What one client saw of one request. `complete` = the end of the message or the format's terminal event.

    `complete_at` is when that came, in seconds of the machine's clock. `closes` = nothing more may be sent on this
    connection.
    """

    nonce: str
    streams: bool
    asks_usage: bool
    status: int | None = None
    body: bytes = b""
    complete: bool = False
    complete_at: float = 0.0
    left: bool = False
    closes: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """True if it did not leave and got no whole answer of 200."""
        return not self.left and not (self.complete and self.status == 200)

    @property
    def as_sent(self) -> bool:
        """True if the bytes are the provider's, up to the cut."""
        if self.status != 200 or (self.streams and not self.asks_usage):
            return True
        sent = b"".join(stream_answer(self.nonce)) if self.streams else json_answer(self.nonce)
        return sent == self.body if self.complete and not self.streams else sent.startswith(self.body)


class Crowd:
    """Clients that go on calling until they are told to stop; `leaves` and `streams` are shares."""

    def __init__(
        self, port: int, key: str, *, clients: int = CLIENTS, leaves: float = 0.0, seed: int = 1, streams: float = 0.5
    ) -> None:
        self.seen: list[Seen] = []
        self._port = port
        self._key = key
        self._clients = clients
        self._leaves = leaves
        self._streams = streams
        self._random = random.Random(seed)
        self._numbers: Iterator[int] = itertools.count()
        self._run = f"{time.time_ns() % 10**9:x}"
        self._stopping = False

    async def call_for(self, seconds: float) -> None:
        """Call as fast as answers come, for so long; then wait until what is under way has ended."""
        self._stopping = False
        tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        try:
            await asyncio.sleep(seconds)
        finally:
            # A cancel can be lost in a client's wait_for: it must then end by itself.
            self._stopping = True
        await asyncio.gather(*tasks)

    async def _client(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                closes = False
                while not self._stopping and not closes:
                    closes = await asyncio.wait_for(self._call(reader, writer), 30)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await asyncio.sleep(0.02)
            finally:
                writer.close()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonce = f"nonce-{self._run}-{next(self._numbers)}"
        draw = self._random.random
        seen = Seen(nonce, streams=draw() < self._streams, asks_usage=draw() < 0.5)
        self.seen.append(seen)
        body: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": nonce}]}
        if seen.streams:
            body |= {"stream": True} | ({"stream_options": {"include_usage": True}} if seen.asks_usage else {})
        began = time.monotonic()
        writer.write(request_bytes(self._key, nonce, body))
        if draw() < self._leaves:
            await asyncio.sleep(draw() * 0.08)
            seen.left = True
            writer.transport.abort()
            raise ConnectionAbortedError
        await writer.drain()
        await read_answer(reader, seen)
        seen.seconds = time.monotonic() - began
        return seen.closes


def request_bytes(key: str, nonce: str, body: object) -> bytes:
    """A request as it stands on the wire; the nonce is its feature too."""
    content = json.dumps(body).encode()
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: lectr\r\ncontent-type: application/json\r\n"
        b"x-lectr-key: %s\r\nauthorization: Bearer sk-test\r\nx-lectr-feature: %s\r\ncontent-length: %d\r\n\r\n%s"
        % (key.encode(), nonce.encode(), len(content), content)
    )


async def read_answer(reader: asyncio.StreamReader, seen: Seen) -> None:
    """Read one answer to its end into `seen`."""
    head = await reader.readuntil(b"\r\n\r\n")
    seen.status = int(head[9:12])
    seen.closes = b"\r\nconnection: close\r\n" in head.lower()
    length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
    if length is not None:
        left = int(length[1])
        while left:
            chunk = await reader.read(left)
            if not chunk:
                raise ConnectionResetError
            seen.body += chunk
            left -= len(chunk)
        _is_complete(seen)
        return
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            await reader.readuntil(b"\r\n")
            _is_complete(seen)
            return
        seen.body += await reader.readexactly(size)
        await reader.readexactly(2)
        if seen.body.endswith(TERMINAL):
            _is_complete(seen)


def _is_complete(seen: Seen) -> None:
    if not seen.complete:
        seen.complete, seen.complete_at = True, time.time()
