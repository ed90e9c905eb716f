"""One HTTP/1.1 connection to a provider: asyncio's protocol, httptools' parser (the one uvicorn uses).

A connection carries one exchange at a time. It is handed out again only after it was read to its clean end;
anything else (cancel, surplus bytes, an error) closes it, so no answer can reach the wrong caller.
"""

import asyncio
import select
from collections import deque
from typing import cast

import httptools
import httpx

MAX_HEADER_BYTES = 256 * 1024
MAX_INFORMATIONAL = 32
HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """The bytes of one connection. `failure` says why it cannot be used any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._paused_reading = False
        self.failure: Exception | None = None
        self.idle_since = 0.0
        self.last_read = 0.0
        self.answered = False
        self._exchange(head_only=False)

    def _exchange(self, *, head_only: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._busy = False
        self._header_bytes = 0
        self._informational = 0
        self._until_close = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._reason = b""
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._have_head = False
        self.complete = False
        self.reusable = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None:
            self._poll = select.poll()
            self._poll.register(descriptor.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy and self._until_close and self._have_head and exc is None and not self.failure:
            self.complete = True
        elif self.failure is None:
            self.failure = httpx.ReadError(str(exc) if exc else "the provider closed the connection")
        self._wake()
        if self._write_waiter is not None and not self._write_waiter.done():
            self._write_waiter.set_result(None)

    def pause_writing(self) -> None:
        self._write_waiter = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._write_waiter is not None and not self._write_waiter.done():
            self._write_waiter.set_result(None)
        self._write_waiter = None

    def data_received(self, data: bytes) -> None:
        self.last_read = self._loop.time()
        if not self._busy or self.complete:
            # Bytes nobody asked for: whatever they are, the next answer on this connection cannot be trusted.
            self._fail(httpx.RemoteProtocolError("the provider sent bytes beyond its answer"))
            return
        self.answered = True
        if not self._have_head:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(httpx.RemoteProtocolError("the provider switched protocols"))
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"the provider's answer is no HTTP: {type(error).__name__}"))
        if not self._have_head and self._header_bytes > MAX_HEADER_BYTES:
            self._fail(httpx.RemoteProtocolError("the provider's headers are too large"))
        self._wake()

    # httptools' side

    def on_message_begin(self) -> None:
        if self.complete:
            self._fail(httpx.RemoteProtocolError("the provider sent a second answer"))

    def on_status(self, status: bytes) -> None:
        self._reason = status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if 100 <= self._status < 200:
            return
        lengths = {value for name, value in self._headers if name == b"content-length"}
        codings = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        if len(lengths) > 1 or (lengths and codings) or codings not in ([], [b"chunked"]):
            self._fail(httpx.RemoteProtocolError("the provider's answer has contradictory lengths"))
            return
        bodyless = self._head_only or self._status in (204, 304)
        self._until_close = not lengths and not codings and not bodyless
        self._have_head = True
        if self._head_only:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        if self._head_only:
            return
        self._chunks.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > HIGH_WATER_BYTES and not self._paused_reading and self._transport:
            self._paused_reading = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if not self._have_head:
            self._informational += 1
            self._headers.clear()
            if self._informational > MAX_INFORMATIONAL:
                self._fail(httpx.RemoteProtocolError("the provider sent only interim answers"))
            return
        self.complete = True
        self.reusable = not self._head_only and not self._until_close and self._parser.should_keep_alive()

    # the exchange's side

    def fit_for_use(self) -> bool:
        """True if nothing has happened on the idle connection: not closed, no byte waiting in the kernel."""
        if self.failure is not None or self._transport is None or self._transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    def begin(self, *, head_only: bool) -> None:
        """Start an exchange on this connection."""
        self._exchange(head_only=head_only)
        self._busy = True
        self.answered = False
        self.last_read = self._loop.time()

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the provider takes none. A broken connection shows when the answer is read."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._write_waiter is not None:
            await self._write_waiter

    async def read_head(self) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        """Status, reason and header fields (names lower-case). Raises httpx.ReadError or RemoteProtocolError."""
        while not self._have_head:
            if self.failure is not None:
                raise self.failure
            await self._wait()
        return self._status, self._reason, self._headers

    async def read_chunk(self) -> bytes:
        """The next body bytes as they came, b"" at the clean end. Raises as read_head does."""
        while not self._chunks:
            if self.complete:
                return b""
            if self.failure is not None:
                raise self.failure
            await self._wait()
        chunk = self._chunks.popleft() if len(self._chunks) == 1 else self._join()
        self._buffered_bytes -= len(chunk)
        if self._paused_reading and self._buffered_bytes < LOW_WATER_BYTES and self._transport:
            self._paused_reading = False
            self._transport.resume_reading()
        return chunk

    def end(self, now: float) -> None:
        """The exchange is over and was read to its end: the connection may serve another one."""
        self._busy = False
        self.idle_since = now

    def close(self, failure: Exception | None = None) -> None:
        """Close at once; whoever waits for bytes gets `failure`."""
        if failure is not None:
            self._fail(failure)
        elif self._transport is not None:
            self._transport.abort()
        self._wake()

    def _join(self) -> bytes:
        joined = b"".join(self._chunks)
        self._chunks.clear()
        return joined

    def _fail(self, failure: Exception) -> None:
        if self.failure is None:
            self.failure = failure
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._read_waiter = self._loop.create_future()
        try:
            await self._read_waiter
        finally:
            self._read_waiter = None

    def _wake(self) -> None:
        if self._read_waiter is not None and not self._read_waiter.done():
            self._read_waiter.set_result(None)
