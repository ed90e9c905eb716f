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


class Connection(asyncio.Protocol):
    """The bytes of one connection. `failure` says why it cannot be used any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._paused_reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.failure: Exception | None = None
        self.idle_since = 0.0
        self._exchange(head_only=False, first_byte_s=None, idle_s=None)

    def _exchange(self, *, head_only: bool, first_byte_s: float | None, idle_s: float | None) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._first_byte_s = first_byte_s
        self._idle_s = idle_s
        self._busy = False
        self._begun = self._last_read = self._loop.time()
        self._bytes_without_body = 0
        self._informational = 0
        self._until_close = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._keep_alive = False
        self.have_head = False
        self.complete = False
        self.sent = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None:
            self._poll = select.poll()
            self._poll.register(descriptor.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy and self._until_close and exc is None and self.failure is None:
            self.complete = True
        elif self.failure is None:
            self.failure = httpx.ReadError(str(exc) if exc else "the provider closed the connection")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def pause_writing(self) -> None:
        self._write_waiter = self._loop.create_future()

    def resume_writing(self) -> None:
        self._wake_writer()
        self._write_waiter = None

    def data_received(self, data: bytes) -> None:
        self._last_read = self._loop.time()
        if not self._busy or self.complete:
            # Bytes nobody asked for: whatever they are, the next answer on this connection cannot be trusted.
            self._fail(httpx.RemoteProtocolError("the provider sent bytes beyond its answer"))
            return
        self._bytes_without_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(httpx.RemoteProtocolError("the provider switched protocols"))
        except httptools.HttpParserCallbackError as error:
            self._fail(_refusal(error))
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"the provider's answer is no HTTP: {type(error).__name__}"))
        # Header fields, trailers and chunk extensions alike: none of them may grow without end.
        if self._bytes_without_body > MAX_HEADER_BYTES and not self.complete:
            self._fail(httpx.RemoteProtocolError("the provider's headers are too large"))
        self._wake()

    # httptools' side; what is raised here ends the parsing

    def on_message_begin(self) -> None:
        if self.complete:
            raise httpx.RemoteProtocolError("the provider sent a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.have_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        # The count may include the beginning of the body, so it only says when to look closer.
        if self._bytes_without_body > MAX_HEADER_BYTES and _size(self._headers) > MAX_HEADER_BYTES:
            raise httpx.RemoteProtocolError("the provider's headers are too large")
        if 100 <= self._status < 200:
            return
        lengths = [value for name, value in self._headers if name == b"content-length"]
        codings = [value.lower() for name, value in self._headers if name == b"transfer-encoding"]
        if len(lengths) + len(codings) > 1 or codings not in ([], [b"chunked"]):
            raise httpx.RemoteProtocolError("the provider's answer has contradictory lengths")
        bodyless = self._head_only or self._status in (204, 304)
        self._until_close = not lengths and not codings and not bodyless
        self._bytes_without_body = 0
        self.have_head = True
        self.complete = self._head_only

    def on_body(self, body: bytes) -> None:
        if self._head_only:
            return
        self._bytes_without_body = 0
        self._chunks.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > HIGH_WATER_BYTES and not self._paused_reading and self._transport:
            self._paused_reading = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if not self.have_head:
            self._informational += 1
            self._headers.clear()
            if self._informational > MAX_INFORMATIONAL:
                raise httpx.RemoteProtocolError("the provider sent only interim answers")
            return
        self.complete = True
        self._keep_alive = not self._head_only and not self._until_close and self._parser.should_keep_alive()

    # the exchange's side

    def fit_for_use(self) -> bool:
        """True if nothing has happened on the idle connection: not closed, no byte waiting in the kernel."""
        if self.failure is not None or self._transport is None or self._transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    @property
    def reusable(self) -> bool:
        """True if request and answer both went through to their clean end."""
        if not (self.complete and self._keep_alive and self.sent) or self.failure is not None:
            return False
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def begin(self, *, head_only: bool, first_byte_s: float | None, idle_s: float | None) -> None:
        """Start an exchange: the head comes within `first_byte_s` of the last byte sent, then bytes each `idle_s`."""
        self._exchange(head_only=head_only, first_byte_s=first_byte_s, idle_s=idle_s)
        self._busy = True
        if first_byte_s is not None:
            self._arm(self._begun + first_byte_s)

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the provider takes none and says nothing either."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._write_waiter is not None and not self.have_head:
            await self._write_waiter
        self._begun = self._loop.time()

    async def read_head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and fields (names lower-case). Raises httpx.ReadError, ReadTimeout, RemoteProtocolError."""
        while not self.have_head:
            if self.failure is not None:
                raise self.failure
            await self._wait()
        if self._idle_s is not None:
            self._arm(self._last_read + self._idle_s)
        return self._status, self._headers

    @property
    def waiting(self) -> bool:
        """True if body bytes have come that were not read yet."""
        return bool(self._chunks)

    async def read_chunk(self) -> bytes:
        """The next body bytes as they came, b"" at the clean end. Raises as read_head does."""
        while not self._chunks:
            if self.complete:
                return b""
            if self.failure is not None:
                raise self.failure
            # As in _wait, which would be one coroutine more for each chunk.
            self._read_waiter = self._loop.create_future()
            try:
                await self._read_waiter
            finally:
                self._read_waiter = None
        chunk = self._chunks.popleft() if len(self._chunks) == 1 else self._join()
        self._buffered_bytes = 0
        if self._paused_reading and self._transport:
            self._paused_reading = False
            # The pause was the caller's, not the provider's.
            self._last_read = self._loop.time()
            self._transport.resume_reading()
        return chunk

    def end(self, now: float) -> None:
        """The exchange is over and was read to its end: the connection may serve another one."""
        self._busy = False
        self.idle_since = now

    def close(self) -> None:
        """Close at once; whoever still waits for bytes gets an httpx.ReadError."""
        self._fail(httpx.ReadError("the connection was closed"))
        self._wake()

    def _join(self) -> bytes:
        joined = b"".join(self._chunks)
        self._chunks.clear()
        return joined

    def _fail(self, failure: Exception) -> None:
        if self.failure is None:
            self.failure = failure
        if self._transport is not None:
            self._transport.abort()

    def _arm(self, at: float) -> None:
        """Have the timer fire at `at` or before: moving it with every chunk would cost more than the chunk."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._check)

    def _check(self) -> None:
        self._timer = None
        limit = self._idle_s if self.have_head else self._first_byte_s
        if not self._busy or self.complete or limit is None:
            return
        now = self._loop.time()
        since = now if self._paused_reading else self._last_read if self.have_head else self._begun
        if now < since + limit:
            self._arm(since + limit)
            return
        self._fail(httpx.ReadTimeout("the provider paused for too long"))
        self._wake()

    async def _wait(self) -> None:
        self._read_waiter = self._loop.create_future()
        try:
            await self._read_waiter
        finally:
            self._read_waiter = None

    def _wake(self) -> None:
        if self._read_waiter is not None and not self._read_waiter.done():
            self._read_waiter.set_result(None)
        if self.have_head or self.failure is not None:
            self._wake_writer()

    def _wake_writer(self) -> None:
        if self._write_waiter is not None and not self._write_waiter.done():
            self._write_waiter.set_result(None)


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def _refusal(error: Exception) -> Exception:
    """What one of our own callbacks raised inside the parser."""
    return error.__context__ if isinstance(error.__context__, httpx.RemoteProtocolError) else error
