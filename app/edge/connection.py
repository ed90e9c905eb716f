"""A client's connection: uvicorn's protocol with deadlines for slow clients, and with cycles of our own."""

import asyncio
import fcntl
import re
import struct
import termios
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.edge.client import WIRE
from app.edge.cycle import Cycle

MAX_BARE_BYTES = 128 * 1024
"""Header fields, trailers and chunk extensions: bytes a client may send in one go without a byte of body."""
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


class ClientConnection(HttpToolsProtocol):
    """Closes a connection whose client keeps Lectr waiting. A timer moves only when it fires, never per byte.

    It is also the guard of the wire: what is no clean HTTP/1.1 never becomes a request. What uvicorn does for each
    request is done here, in fewer steps: the answer (`Cycle`), the task, and one timer for an idle connection.
    """

    parser: httptools.HttpRequestParser
    headers_s: float
    body_s: float
    write_s: float
    most_connections: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading_since: float | None = self.loop.time()
        self._last_data = self._idle_since = self.loop.time()
        self._in_body = False
        self._between = True
        self._bare_bytes = 0
        self._unsent = 0
        self._answering: Cycle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = self.loop.call_later(self.headers_s, self._check_reading)
        if len(self.connections) > self.most_connections:
            self._turn_away(_TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._read_timer, self._write_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._read_timer = self._write_timer = self._idle_timer = None
        self.connections.discard(self)
        if self._answering is not None:
            self._answering.lose()
        # They refer to this object: without this, only the garbage collector would end it.
        self._answering = self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        del self.parser

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._last_data = self.loop.time()
        self._bare_bytes += len(data)
        if self._between and b"h2c" in data:
            data = _without_http2_offer(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._turn_away(_BAD_REQUEST)
            return
        except httptools.HttpParserUpgrade:
            # Another protocol was offered and is passed over: the request is answered.
            pass
        if self._bare_bytes > MAX_BARE_BYTES and not self.transport.is_closing():
            if self._in_body:
                self.transport.abort()
            else:
                self._turn_away(_TOO_MANY_FIELDS)

    def _turn_away(self, answer: bytes) -> None:
        # Nothing that still comes can be trusted. An earlier request must not take this for its own answer.
        cycle = self.cycle
        between = cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        if between and not self.pipeline:
            self.transport.write(answer)
        self.transport.close()

    # httptools' side

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._reading_since, self._in_body, self._between = self._last_data, False, False
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(self.headers_s, self._check_reading)

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer comes after the decisions that its name would change: it is read and forgotten.
        if not self._in_body:
            name = name.lower()
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._bare_bytes = 0
        version = self.parser.get_http_version()
        place = httptools.parse_url(self.url)
        path = place.path.decode("ascii")
        method = self.parser.get_method()
        cycle = Cycle(
            self,
            bodyless=method == b"HEAD",
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            continue_due=version != "1.0" and self.expect_100_continue,
            chunks=version != "1.0",
        )
        scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": method.decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": place.path,
            "query_string": place.query or b"",
            "extensions": {WIRE: cycle},
        }
        before = self.cycle
        self.cycle = cycle  # type: ignore[assignment]
        if before is None or before.response_complete:
            self._begin(cycle, scope)
        else:
            # A pipelined request waits for the answers before its own.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, scope))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._bare_bytes = 0
        cycle: Cycle = self.cycle  # type: ignore[assignment]
        if not cycle.response_complete and cycle.take(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._reading_since = None
        self._between = True
        self._bare_bytes = 0
        cycle: Cycle = self.cycle  # type: ignore[assignment]
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.wake()

    # the cycles' side

    def _begin(self, cycle: Cycle, scope: dict[str, Any]) -> None:
        self._answering = cycle
        task = self.loop.create_task(cycle.run_asgi(self.app, scope))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """The next request of this connection may begin; where there is none, the connection is idle from now on."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._begin(*self.pipeline.pop())  # type: ignore[arg-type]
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._check_idle)

    def shutdown(self) -> None:
        # Who has just connected or been answered is about to ask, and what lies in the kernel's buffer is a request:
        # both get an answer, which closes the connection.
        idle = self.cycle is None or self.cycle.response_complete
        if idle and (self._is_fresh() or self._is_unread()):
            self.loop.call_later(_LAST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()

    def _is_fresh(self) -> bool:
        return self.loop.time() < self._idle_since + _LAST_REQUEST_S

    def _is_unread(self) -> bool:
        try:
            unread = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
        except (AttributeError, OSError, ValueError):
            return False
        return struct.unpack("i", unread) != (0,)

    # deadlines

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self._waiting_bytes()
        self._write_timer = self.loop.call_later(self.write_s, self._check_writing)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _check_idle(self) -> None:
        self._idle_timer = None
        if self.transport.is_closing() or not self._between or not self.cycle.response_complete:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(max(left, 0.05), self._check_idle)

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
