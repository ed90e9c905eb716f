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

Origin = tuple[bytes, bytes, int]


class AnswerStream(httpx.AsyncByteStream):
    """The body of one answer, chunk by chunk as it comes; closing it early closes the connection."""

    def __init__(self, pool: "PooledTransport", origin: Origin, connection: Connection, idle_s: float | None) -> None:
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._idle_s = idle_s
        self._watchdog: asyncio.TimerHandle | None = None
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._watch()
        try:
            while chunk := await self._connection.read_chunk():
                yield chunk
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._pool.release(self._origin, self._connection)

    def _watch(self) -> None:
        """One timer for the whole answer, moved only when it fires: one per chunk would cost more than the chunk."""
        if self._idle_s is None or self._closed:
            return
        loop = asyncio.get_running_loop()
        left = self._connection.last_read + self._idle_s - loop.time()
        if left <= 0:
            self._connection.close(httpx.ReadTimeout("the provider paused for too long"))
            return
        self._watchdog = loop.call_later(left, self._watch)


class PooledTransport(httpx.AsyncBaseTransport):
    """HTTP/1.1 to any origin. Never retries, redirects, decodes, keeps cookies or reads proxies from the environment.

    `extensions["timeout"]` gives `connect` and `read` in seconds. Raises httpx.ConnectError, ConnectTimeout
    (no byte was sent), ReadTimeout, ReadError, RemoteProtocolError.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        resolver: egress.Resolve = egress.resolve,
    ) -> None:
        self._allow_private = allow_private
        self._tls = tls
        self._resolver = resolver
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions.get("timeout", {})
        origin: Origin = (request.url.raw_scheme, request.url.raw_host, request.url.port or 0)
        connection = self._take(origin) or await self._connect(origin, timeout.get("connect"))
        connection.begin(head_only=request.method == "HEAD")
        if on_sent := request.extensions.get("on_sent"):
            on_sent()
        try:
            async with asyncio.timeout(timeout.get("first_byte")):
                await self._send(connection, request)
                status, reason, headers = await connection.read_head()
        except TimeoutError:
            self.discard(connection)
            raise httpx.ReadTimeout("the provider did not answer in time") from None
        except BaseException:
            self.discard(connection)
            raise
        return httpx.Response(
            status,
            headers=headers,
            stream=AnswerStream(self, origin, connection, timeout.get("read")),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason},
        )

    async def aclose(self) -> None:
        for connection in list(self._open):
            self.discard(connection)
        self._idle.clear()

    def release(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back: kept if its answer was read to a clean end, closed otherwise."""
        idle = self._idle.setdefault(origin, [])
        if connection.complete and connection.reusable and len(idle) < MAX_IDLE_PER_ORIGIN:
            connection.end(asyncio.get_running_loop().time())
            idle.append(connection)
        else:
            self.discard(connection)

    def discard(self, connection: Connection) -> None:
        """Close a connection for good."""
        self._open.discard(connection)
        connection.close()

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - KEEPALIVE_S
        while idle:
            connection = idle.pop()
            if connection.idle_since < oldest:
                # All below it are older still.
                for stale in (*idle, connection):
                    self.discard(stale)
                idle.clear()
                return None
            if connection.fit_for_use():
                return connection
            self.discard(connection)
        return None

    async def _connect(self, origin: Origin, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        secure = scheme == b"https"
        if secure and self._tls is None:
            self._tls = await asyncio.to_thread(egress.make_tls_context)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                connection = await egress.connect(
                    lambda: Connection(loop),
                    host.decode("ascii"),
                    port or (443 if secure else 80),
                    self._tls if secure else None,
                    allow_private=self._allow_private,
                    resolver=self._resolver,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        self._open.add(connection)
        return connection

    async def _send(self, connection: Connection, request: httpx.Request) -> None:
        head = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
        chunked = False
        for name, value in request.headers.raw:
            chunked = chunked or name == b"transfer-encoding"
            head += (name, b": ", value, b"\r\n")
        head.append(b"\r\n")
        stream = request.stream
        if isinstance(stream, httpx.ByteStream):
            head.extend(stream)
            await connection.write(b"".join(head))
            return
        await connection.write(b"".join(head))
        assert isinstance(stream, httpx.AsyncByteStream)
        async for chunk in stream:
            await connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            await connection.write(b"0\r\n\r\n")
