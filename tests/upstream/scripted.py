"""A provider made of raw sockets: it does exactly what a test's script says and notes what it saw."""

import asyncio
import contextlib
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ssl import SSLContext

import httpx

from app.upstream.transport import PooledTransport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TIMEOUTS = {"connect": 2.0, "first_byte": 5.0, "read": 5.0}


class Peer:
    """One accepted connection, seen from the provider. `received` is every byte that came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.received = bytearray()
        self.closed = asyncio.Event()
        self.closed_at = 0.0

    async def read(self, size: int = 65536) -> bytes:
        data = await self.reader.read(size)
        self.received += data
        return data

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request (by its Content-Length). Raises EOFError where none comes."""
        data = bytearray()
        while b"\r\n\r\n" not in data:
            more = await self.read()
            if not more:
                raise EOFError
            data += more
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        received = bytearray(body)
        while len(received) < length:
            received += await self.read()
        return head, bytes(received)

    def send(self, data: bytes) -> None:
        """Raises EOFError where Lectr has closed the connection."""
        if self.writer.is_closing():
            raise EOFError
        self.writer.write(data)

    def reset(self) -> None:
        """Close with RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self, within_s: float = 5.0) -> None:
        """Reads until Lectr closes the connection, and notes when (`closed_at`, time.monotonic)."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(within_s):
                while await self.read():
                    pass
        self.closed_at = time.monotonic()
        self.closed.set()


Script = Callable[[Peer], Awaitable[None]]


class Provider:
    """A running scripted provider."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.peers: list[Peer] = []
        self.accepted = 0


@contextlib.asynccontextmanager
async def provider(script: Script, tls: SSLContext | None = None) -> AsyncIterator[Provider]:
    """Runs `script` for each connection and closes it afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(peer: Peer) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await script(peer)
        peer.writer.close()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        running.peers.append(peer)
        task = asyncio.ensure_future(run(peer))
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        tasks.discard(task)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    running = Provider(server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield running
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        for peer in running.peers:
            # asyncio's transport cannot be aborted any more once it has closed with bytes unsent.
            with contextlib.suppress(AttributeError):
                peer.writer.transport.abort()
        await asyncio.sleep(0.01)


def answers(*answers: bytes) -> Script:
    """One answer for each request on a connection, then the connection is closed."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            peer.send(answer)

    return script


def always(answer: bytes = OK) -> Script:
    """The same answer to every request, for as long as requests come."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.send(answer)

    return script


@contextlib.asynccontextmanager
async def pool(**options: object) -> AsyncIterator[PooledTransport]:
    transport = PooledTransport(**{"allow_private": True, **options})  # type: ignore[arg-type]
    try:
        yield transport
    finally:
        await transport.aclose()
        assert transport.counts == (0, 0)


def request(url: str, body: bytes = b"{}", method: str = "POST", **timeouts: float | None) -> httpx.Request:
    """A request as UpstreamClient sends it."""
    parsed = httpx.URL(url)
    headers = [(b"host", parsed.netloc), (b"content-length", b"%d" % len(body))]
    return httpx.Request(
        method,
        parsed,
        headers=headers,
        stream=httpx.ByteStream(body),
        extensions={"timeout": TIMEOUTS | timeouts},
    )


def upload(url: str, chunks: AsyncIterator[bytes], length: int | None = None) -> httpx.Request:
    """A request whose body comes in pieces, with or without a known length."""

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in chunks:
                yield chunk

    parsed = httpx.URL(url)
    framing = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)
    headers = [(b"host", parsed.netloc), framing]
    return httpx.Request("POST", parsed, headers=headers, stream=Body(), extensions={"timeout": dict(TIMEOUTS)})


async def body_of(response: httpx.Response) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([chunk async for chunk in response.stream])


async def fetch(transport: PooledTransport, url: str, **more: object) -> tuple[int, bytes]:
    """Status and whole body of one exchange."""
    response = await transport.handle_async_request(request(url, **more))  # type: ignore[arg-type]
    return response.status_code, await body_of(response)


def open_sockets() -> int:
    """How many sockets this process holds."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return found
