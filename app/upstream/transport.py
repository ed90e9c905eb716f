"""The production transport behind httpx's seam: keep-alive connections in a last-in first-out list per origin.

httpcore's pool costs 7 ms of CPU a request with 64 connections open; a list costs nothing. Decision and table:
docs/decisions/0002-upstream-transport.md.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx

from app.domain import Headers
from app.upstream import egress
from app.upstream.connection import Connection
from app.upstream.exchange import Call, Origin, place_of

KEEPALIVE_S = 30.0
MAX_IDLE_PER_ORIGIN = 1024
JOINED_BYTES = 64 * 1024
"""A body up to this size goes out in one write with its header; a longer one is not copied for that."""


class PooledExchange(httpx.AsyncByteStream):
    """One answer on a connection of the pool; closing it early closes the connection."""

    def __init__(
        self, pool: "PooledTransport", origin: Origin, connection: Connection, status: int, headers: Headers
    ) -> None:
        self.status = status
        self.headers = headers
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._closed = False

    @property
    def waiting(self) -> bool:
        return self._connection.waiting and not self._closed

    @property
    def ended(self) -> bool:
        return self._connection.complete and not self._connection.waiting and not self._closed

    async def read(self) -> bytes:
        """The next bytes of the body as they come, b"" at its clean end."""
        if self._closed:
            return b""
        try:
            chunk = await self._connection.read_chunk()
        except BaseException:
            self._close()
            raise
        if not chunk:
            self._close()
        return chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self.read():
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._close()

    def _close(self) -> None:
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

    async def exchange(self, call: Call) -> PooledExchange:
        """One exchange without httpx's objects; raises as handle_async_request does."""
        origin, timeouts = call.place.origin, call.timeouts
        connection = self._take(origin) or await self._connect(origin, timeouts.get("connect"))
        connection.begin(
            head_only=call.method == "HEAD", first_byte_s=timeouts.get("first_byte"), idle_s=timeouts.get("read")
        )
        try:
            call.on_sent()
            await _send(connection, call)
            status, headers = await connection.read_head()
        except BaseException:
            self.discard(connection)
            raise
        return PooledExchange(self, origin, connection, status, headers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = request.stream
        whole = b"".join(stream) if isinstance(stream, httpx.ByteStream) else None
        call = Call(
            request.method,
            place_of(str(request.url)),
            request.headers.raw,
            whole,
            stream if whole is None and isinstance(stream, httpx.AsyncByteStream) else None,
            request.extensions.get("timeout", {}),
            request.extensions.get("on_sent", _nothing),
        )
        answer = await self.exchange(call)
        return httpx.Response(answer.status, headers=answer.headers, stream=answer)

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


def _nothing() -> None:
    """Nobody wants to know when the first byte leaves."""


async def _send(connection: Connection, call: Call) -> None:
    """Write the request; stops where the answer comes before its end (then the connection is not used again)."""
    head = [call.method.encode("ascii"), b" ", call.place.target, b" HTTP/1.1\r\n"]
    chunked = False
    for name, value in call.headers:
        chunked = chunked or name == b"transfer-encoding"
        head += (name, b": ", value, b"\r\n")
    head.append(b"\r\n")
    body = call.body
    if body is not None:
        if len(body) <= JOINED_BYTES:
            head.append(body)
            await connection.write(b"".join(head))
        else:
            await connection.write(b"".join(head))
            await connection.write(body)
        connection.sent = True
        return
    await connection.write(b"".join(head))
    assert call.upload is not None
    async for chunk in call.upload:
        if connection.have_head or connection.failure is not None:
            return
        await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
    if chunked:
        await connection.write(b"0\r\n\r\n")
    connection.sent = True
