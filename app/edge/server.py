"""uvicorn with what it lacks: deadlines for slow clients, and a shutdown that keeps listening while it drains."""

import asyncio
import contextlib
import fcntl
import re
import signal
import socket
import struct
import termios
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.edge.drain import Drain
from app.edge.process_limits import connection_cap, raise_limits
from app.settings import Settings

MAX_BARE_BYTES = 128 * 1024
"""Header fields, trailers and chunk extensions: bytes a client may send in one go without a byte of body."""
_CLOSE_GRACE_S = 1
_LAST_REQUEST_S = 0.5
"""How long a connection stays open at the end for the request that is on its way."""


def _plain(status: bytes, text: bytes) -> bytes:
    """An answer of the protocol itself, before any application has seen the request."""
    fields = (
        b"content-type: text/plain; charset=utf-8",
        b"content-length: %d" % len(text),
        b"cache-control: no-store",
        b"x-content-type-options: nosniff",
        b"connection: close",
    )
    return b"\r\n".join((b"HTTP/1.1 " + status, *fields, b"", text))


_BAD_REQUEST = _plain(b"400 Bad Request", b"This is no HTTP request that Lectr takes.")
_TOO_MANY_FIELDS = _plain(b"431 Request Header Fields Too Large", b"The header fields are too large.")
_TOO_MANY_CONNECTIONS = _plain(b"503 Service Unavailable", b"Too many connections are open. Try again soon.")


_HTTP2_OFFER = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)


def _without_http2_offer(data: bytes) -> bytes:
    """A request without its `Upgrade: h2c`, which a server may pass over. Java's client sends it with every first
    request in the clear, and the parser would take the body for another protocol and lose it.
    """
    head, blank, rest = data.partition(b"\r\n\r\n")
    return _HTTP2_OFFER.sub(b"", head + b"\r\n", count=1)[:-2] + blank + rest if blank else data


def protocol_for(settings: Settings) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with the settings' deadlines for a client's headers, body and reading."""

    class DeadlineProtocol(_DeadlineProtocol):
        headers_s = settings.client_headers_timeout_s
        # The route answers 408 at the limit itself; this is for routes that do not watch their body.
        body_s = settings.client_body_timeout_s + _CLOSE_GRACE_S
        write_s = settings.client_write_timeout_s
        most_connections = connection_cap()

    return DeadlineProtocol


class _DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose client keeps Lectr waiting. A timer moves only when it fires, never per byte.

    It is also the guard of the wire: what is no clean HTTP/1.1 never becomes a request.
    """

    headers_s: float
    body_s: float
    write_s: float
    most_connections: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading_since: float | None = self.loop.time()
        self._last_data = self.loop.time()
        self._in_body = False
        self._between = True
        self._bare_bytes = 0
        self._unsent = 0
        self._write_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = self.loop.call_later(self.headers_s, self._check_reading)
        if len(self.connections) > self.most_connections:
            self._turn_away(_TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._read_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._read_timer = self._write_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._last_data = self.loop.time()
        self._bare_bytes += len(data)
        if self._between and b"h2c" in data:
            data = _without_http2_offer(data)
        super().data_received(data)
        if self._bare_bytes > MAX_BARE_BYTES and not self.transport.is_closing():
            if self._in_body:
                self.transport.abort()
            else:
                self._turn_away(_TOO_MANY_FIELDS)

    def _unsupported_upgrade_warning(self) -> None:
        # uvicorn's words advise to install a WebSocket library, which Lectr does not take; the request is answered.
        return

    def send_400_response(self, msg: str) -> None:
        self._turn_away(_BAD_REQUEST)

    def _turn_away(self, answer: bytes) -> None:
        # Nothing that still comes can be trusted. An earlier request must not take this for its own answer.
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            self.transport.write(answer)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading_since, self._in_body, self._between = self.loop.time(), False, False
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(self.headers_s, self._check_reading)

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer comes after the decisions that its name would change: it is read and forgotten.
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._bare_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bare_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading_since = None
        self._between = True
        self._bare_bytes = 0
        super().on_message_complete()

    def shutdown(self) -> None:
        # Who has just connected is about to ask, and what lies in the kernel's buffer is a request: both are answered.
        idle = self.cycle is None or self.cycle.response_complete
        if idle and (self._is_fresh() or self._is_unread()):
            self.loop.call_later(_LAST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()

    def _is_fresh(self) -> bool:
        since = self._reading_since
        return self.cycle is None and since is not None and self.loop.time() < since + _LAST_REQUEST_S

    def _is_unread(self) -> bool:
        try:
            unread = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
        except (AttributeError, OSError, ValueError):
            return False
        return struct.unpack("i", unread) != (0,)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self._waiting_bytes()
        self._write_timer = self.loop.call_later(self.write_s, self._check_writing)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _check_reading(self) -> None:
        self._read_timer = None
        if self._reading_since is None or self.transport.is_closing():
            return
        # While Lectr itself has stopped reading (its buffer is full), a standstill is not the client's.
        paused = self._in_body and self.flow.read_paused
        since = max(self._last_data, self._reading_since) if self._in_body else self._reading_since
        left = since + (self.body_s if self._in_body else self.headers_s) - self.loop.time()
        if left <= 0 and not paused:
            self.transport.abort()
            return
        self._read_timer = self.loop.call_later(max(left, 0.05) if not paused else self.body_s, self._check_reading)

    def _check_writing(self) -> None:
        waiting = self._waiting_bytes()
        if waiting >= self._unsent:
            self.transport.abort()
            return
        self._unsent = waiting
        self._write_timer = self.loop.call_later(self.write_s, self._check_writing)

    def _waiting_bytes(self) -> int:
        return self.transport.get_write_buffer_size()


class LectrServer(uvicorn.Server):
    """At the first SIGTERM or SIGINT: drain, listening on; then exit with code 0. Further signals change nothing."""

    def __init__(self, config: uvicorn.Config, drain: Drain, drain_s: float) -> None:
        config.timeout_graceful_shutdown = _CLOSE_GRACE_S
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s
        self._ending: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        raise_limits()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The kernel would reset the connections that nobody has taken yet, and the requests in them.
        waiting = [connection for listener in sockets or () for connection in _take_all(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None:
            self.should_exit = True
            return
        if sig == signal.SIGINT and self._drain.draining:
            self.should_exit = self.force_exit = True
            return
        self._loop.call_soon_threadsafe(self._begin_to_end)

    def _begin_to_end(self) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(), name="drain")

    async def _end(self) -> None:
        await self._drain.run(self._drain_s)
        self.should_exit = True


def _take_all(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted."""
    taken: list[socket.socket] = []
    listener.setblocking(False)
    with contextlib.suppress(OSError):
        while True:
            taken.append(listener.accept()[0])
    return taken


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """uvicorn as Lectr runs it: HTTP/1.1 only, no log of its own, no header of its own."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol_for(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
    )
