"""The production transport behind httpx's seam: keep-alive connections in a last-in first-out list per origin.

httpcore's pool costs 7 ms of CPU a request with 64 connections open; a list costs nothing. Decision and table:
docs/decisions/0002-upstream-transport.md.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx

from app.upstream import egress
from app.upstream.connection import Connection

KEEPALIVE_S = 30.0
MAX_IDLE_PER_ORIGIN = 1024
JOINED_BYTES = 64 * 1024
"""A body up to this size goes out in one write with its header; a longer one is not copied for that."""

Origin = tuple[bytes, bytes, int]


class AnswerStream(httpx.AsyncByteStream):
    """The body of one answer, chunk by chunk as it comes; closing it early closes the connection."""

    def __init__(self, pool: "PooledTransport", origin: Origin, connection: Connection) -> None:
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._closed = False

    # An iterator instead of a generator: that is one frame and one finaliser less for each request.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            chunk = await self._connection.read_chunk()
        except BaseException:
            await self.aclose()
            raise
        if chunk:
            return chunk
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._pool.release(self._origin, self._connection)


class PooledTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 to any origin. Never retries, redirects, decodes, keeps cookies or reads proxies from the environment.

    `extensions["timeout"]` gives `connect`, `first_byte` (from the last byte sent to the answer's head) and `read`
    (the longest pause in a body) in seconds; `extensions["on_sent"]` is called before the first byte leaves.
    Raises httpx.ConnectError, ConnectTimeout (no byte was sent), ReadTimeout, ReadError, RemoteProtocolError.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        resolver: egress.Resolve = egress.resolve,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._allow_private = allow_private
        self._tls = tls
        self._resolver = resolver
        self._keepalive_s = keepalive_s
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions.get("timeout", {})
        url = request.url
        origin: Origin = (url.raw_scheme, url.raw_host, url.port or 0)
        connection = self._take(origin) or await self._connect(origin, timeout.get("connect"))
        connection.begin(
            head_only=request.method == "HEAD", first_byte_s=timeout.get("first_byte"), idle_s=timeout.get("read")
        )
        try:
            if on_sent := request.extensions.get("on_sent"):
                on_sent()
            await _send(connection, request)
            status, reason, headers = await connection.read_head()
        except BaseException:
            self.discard(connection)
            raise
        return httpx.Response(
            status,
            headers=headers,
            stream=AnswerStream(self, origin, connection),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )

    async def aclose(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._open):
            self.discard(connection)
        self._idle.clear()

    def release(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back: kept if its answer was read to a clean end, closed otherwise."""
        idle = self._idle.setdefault(origin, [])
        if not connection.reusable or len(idle) >= MAX_IDLE_PER_ORIGIN:
            self.discard(connection)
            return
        loop = asyncio.get_running_loop()
        connection.end(loop.time())
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keepalive_s, self._sweep)

    def discard(self, connection: Connection) -> None:
        """Close a connection for good."""
        self._open.discard(connection)
        connection.close()

    @property
    def counts(self) -> tuple[int, int]:
        """Connections open, and how many of them are idle."""
        return len(self._open), sum(map(len, self._idle.values()))

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.fit_for_use():
                return connection
            self.discard(connection)
        return None

    def _sweep(self) -> None:
        """Close what was idle for too long; one timer for all: one per connection would move with each request."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keepalive_s
        remaining: list[float] = []
        for origin, idle in list(self._idle.items()):
            kept: list[Connection] = []
            for connection in idle:
                if connection.idle_since > oldest and connection.failure is None:
                    kept.append(connection)
                else:
                    self.discard(connection)
            self._idle[origin] = kept
            if kept:
                remaining.append(kept[0].idle_since)
            else:
                del self._idle[origin]
        self._sweeper = loop.call_at(min(remaining) + self._keepalive_s, self._sweep) if remaining else None

    async def _connect(self, origin: Origin, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        secure = scheme == b"https"
        if secure and self._tls is None:
            self._tls = await asyncio.to_thread(egress.make_tls_context)
        loop = asyncio.get_running_loop()
        made: list[Connection] = []

        def make() -> Connection:
            made.append(Connection(loop))
            return made[-1]

        try:
            async with asyncio.timeout(timeout_s):
                connection = await egress.connect(
                    make,
                    host.decode("ascii"),
                    port or (443 if secure else 80),
                    self._tls if secure else None,
                    allow_private=self._allow_private,
                    resolver=self._resolver,
                )
        except BaseException as error:
            # A connection that came about in the very moment of a cancel or timeout has no other owner.
            for each in made:
                each.close()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout("no connection in time") from None
            raise
        self._open.add(connection)
        return connection


async def _send(connection: Connection, request: httpx.Request) -> None:
    """Write the request; stops where the answer comes before its end (then the connection is not used again)."""
    head = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    chunked = False
    for name, value in request.headers.raw:
        chunked = chunked or name == b"transfer-encoding"
        head += (name, b": ", value, b"\r\n")
    head.append(b"\r\n")
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):
        body = b"".join(stream)
        if len(body) <= JOINED_BYTES:
            head.append(body)
            await connection.write(b"".join(head))
        else:
            await connection.write(b"".join(head))
            await connection.write(body)
        connection.sent = True
        return
    await connection.write(b"".join(head))
    assert isinstance(stream, httpx.AsyncByteStream)
    async for chunk in stream:
        if connection.have_head or connection.failure is not None:
            return
        await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
    if chunked:
        await connection.write(b"0\r\n\r\n")
    connection.sent = True
