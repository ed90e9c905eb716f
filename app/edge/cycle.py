"""One request and its answer on a connection: uvicorn's RequestResponseCycle, for less than half its cost.

What an answer writes in one turn of the event loop leaves in one system call where that is possible: a header waits
for the body's first bytes until the end of the turn. Decision and figures: docs/decisions/0006-cost-of-a-request.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE

from app.domain import Headers

log = logging.getLogger("uvicorn.error")

_JOINED_BYTES = 64 * 1024
"""Body bytes up to this many are copied to leave together with the header."""
_BODYLESS = (204, 304)
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code != ord("\t"))
_KEPT_NAME_BYTES = 64
_INTERNAL_ERROR: Headers = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"21"),
    (b"connection", b"close"),
]


class Connection(Protocol):
    """The protocol of the connection, as a cycle needs it."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    def on_response_complete(self) -> None: ...


class Cycle:
    """`receive` and `send` are ASGI's; the rest is what the connection's protocol tells and asks."""

    __slots__ = (
        "_arrived",
        "_bodyless",
        "_bytes_due",
        "_chunked",
        "_chunks",
        "_connection",
        "_gone",
        "_head",
        "_news",
        "_transport",
        "_until_closed",
        "body",
        "continue_due",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(
        self, connection: Connection, *, bodyless: bool, keep_alive: bool, continue_due: bool, chunks: bool = True
    ) -> None:
        """`chunks` is False for a client of HTTP/1.0, which knows none: what has no length ends with its connection."""
        self._connection = connection
        self._transport = connection.transport
        self._bodyless = bodyless
        self._chunks = chunks
        self._arrived = False
        self._gone: Callable[[], None] | None = None
        self._news: asyncio.Event | None = None
        self._head: bytes | None = None
        self._chunked: bool | None = None
        self._until_closed = False
        self._bytes_due = 0
        self.keep_alive = keep_alive
        self.continue_due = continue_due
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    async def run_asgi(self, app: Callable[..., Awaitable[None]], scope: Any) -> None:
        """Have the application answer. What it leaves undone becomes a 500, or the end of the connection."""
        try:
            await app(scope, self.receive, self.send)
        except BaseException as error:
            log.error("Exception in ASGI application\n", exc_info=error)
        else:
            if self.response_complete or self.disconnected:
                return
            log.error("ASGI callable returned without completing response.")
        if not self.response_started:
            await self.send({"type": "http.response.start", "status": 500, "headers": _INTERNAL_ERROR})
            await self.send({"type": "http.response.body", "body": b"Internal Server Error"})
        else:
            self._flush()
            self._transport.close()

    # the connection's side

    def take(self, body: bytes) -> int:
        """Body bytes have come; returns how many wait for the application."""
        if not self.body:
            self.body = body
        else:
            # Many small chunks in one buffer: as objects of their own they would take many times their bytes.
            self.body = self.body if isinstance(self.body, bytearray) else bytearray(self.body)
            self.body += body
        self.wake()
        return len(self.body)

    def lose(self) -> None:
        """The client is gone."""
        self.disconnected = not self.response_complete
        self.wake()
        if self._gone is not None:
            self._gone()

    def wake(self) -> None:
        """Something has come that `receive` can tell."""
        self._arrived = True
        if self._news is not None:
            self._news.set()

    # the application's side

    async def receive(self) -> dict[str, Any]:
        """ASGI: the next part of the body, or that the client is gone or has its answer."""
        if self.continue_due and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.continue_due = False
        if not self.disconnected and not self.response_complete:
            self._connection.flow.resume_reading()
            if not self._arrived:
                self._news = self._news or asyncio.Event()
                await self._news.wait()
                self._news.clear()
            self._arrived = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def body_at_once(self) -> bytes | None:
        """The whole body if it has come and nothing of it was received; None = it has to be waited for."""
        if self.more_body or self.disconnected:
            return None
        body, self.body = bytes(self.body), b""
        self._arrived = False
        return body

    def watch(self, gone: Callable[[], None] | None) -> None:
        """Call `gone` as soon as the client hangs up; None = no more."""
        self._gone = gone
        if gone is not None:
            # Where nothing is read, nobody hears of a hang-up.
            self._connection.flow.resume_reading()
            if self.disconnected:
                gone()

    async def send(self, message: Any) -> None:
        """ASGI: status and header, then the body."""
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"{kind} before http.response.start")
            self._start(message["status"], message.get("headers", ()))
        elif self.response_complete or kind != "http.response.body":
            raise RuntimeError(f"{kind} where it cannot come")
        else:
            self._write(message.get("body", b""), last=not message.get("more_body", False))

    def _start(self, status: int, headers: Headers) -> None:
        lines = [STATUS_LINE[status]]
        chunked: bool | None = None
        closes = False
        for name, value in headers:
            begin = _kept_begin(name) if len(name) <= _KEPT_NAME_BYTES else _begin(name)
            lines.append(begin + value + b"\r\n")
            if begin == b"content-length: ":
                if chunked is None:
                    self._bytes_due, chunked = int(value), False
            elif begin == b"transfer-encoding: ":
                if value.lower() == b"chunked":
                    self._bytes_due, chunked = 0, True
            elif begin == b"connection: " and b"close" in (token.strip() for token in value.lower().split(b",")):
                self.keep_alive, closes = False, True
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if chunked is None and not self._bodyless and status not in _BODYLESS:
            chunked = self._chunks
            self._until_closed = not chunked
            if chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        # A line break within a value would split the answer: there may be none but one at the end of each line.
        if len(head) - len(head.translate(None, _CONTROLS)) != 2 * len(lines):
            raise RuntimeError("a control character in a header field")
        self._chunked = chunked
        self.response_started = True
        self.continue_due = False
        self._head = head
        self._connection.loop.call_soon(self._flush)

    def _write(self, body: bytes, *, last: bool) -> None:
        if self._bodyless:
            body, self._bytes_due = b"", 0
        elif self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if last:
                body += b"0\r\n\r\n"
        elif not self._until_closed:
            if len(body) > self._bytes_due:
                raise RuntimeError("the body is longer than its Content-Length")
            self._bytes_due -= len(body)
        if self._head is not None and len(body) <= _JOINED_BYTES:
            body, self._head = self._head + body, None
        self._flush()
        if body:
            self._transport.write(body)
        if last:
            self._end()

    def _flush(self) -> None:
        """Send a header that no body bytes have come for."""
        if self._head is not None and not self.disconnected:
            self._transport.write(self._head)
        self._head = None

    def _end(self) -> None:
        if self._bytes_due:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = True
        self.wake()
        if not self.keep_alive:
            self._transport.close()
        self._connection.on_response_complete()


def _begin(name: bytes) -> bytes:
    """A field's line up to its value. Raises RuntimeError for what is no name."""
    if HEADER_RE.search(name):
        raise RuntimeError("a header field's name is none")
    return name.lower() + b": "


_kept_begin = lru_cache(maxsize=512)(_begin)
