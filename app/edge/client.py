"""The caller's side of one request: its body coming in, the answer going out, and whether it is still there."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from app.domain import Headers
from app.errors import RequestRejected

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_S = 2.0
"""Most clients write their whole body before they read: closing while they write would reset the refusal away."""


class ClientGone(Exception):
    """The caller left before its request was whole."""


class Wire(Protocol):
    """What Lectr's own server tells of a request beside ASGI, under `WIRE` in the scope's extensions."""

    def body_at_once(self) -> bytes | None:
        """The whole body if it has come; None = it has to be waited for."""
        ...

    def watch(self, gone: Callable[[], None] | None) -> None:
        """Call `gone` as soon as the client hangs up; None = no more."""


WIRE = "lectr.wire"


class Client:
    """One caller. `waited_ns` is the time spent waiting for it; `left` is True once it has hung up.

    `wire` spares what a body that is there already does not need, and the task that would wait for a hang-up; without
    it, one who hangs up is noticed where the answer is written.
    """

    def __init__(self, receive: Receive, send: Send, *, body_timeout_s: float, wire: Wire | None = None) -> None:
        self._receive = receive
        self._send = send
        self._wire = wire
        self._body_timeout_s = body_timeout_s
        self._task: asyncio.Task[Any] | None = None
        self.body_done = False
        self.left = False
        self.started = False
        self.ended = False
        self.waited_ns = 0

    async def read_chunks(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The request's body as it comes. Raises ClientGone, and RequestRejected over the limit or at a standstill."""
        seen = 0
        while not self.body_done:
            chunk = await self._next_chunk()
            seen += len(chunk)
            if seen > limit_bytes:
                raise too_large(limit_bytes)
            if chunk:
                yield chunk

    async def read_body(self, limit_bytes: int) -> bytes:
        """The whole body; raises as read_chunks does."""
        if self._wire is not None and not self.body_done and (whole := self._wire.body_at_once()) is not None:
            self.body_done = True
            if len(whole) > limit_bytes:
                raise too_large(limit_bytes)
            return whole
        chunks: list[bytes] = []
        seen = 0
        while not self.body_done:
            chunk = await self._next_chunk()
            seen += len(chunk)
            if seen > limit_bytes:
                raise too_large(limit_bytes)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def watch(self) -> None:
        """From now on, cancel the running task when the caller hangs up. The body must have been read."""
        if self._task is None and self._wire is not None:
            self._task = asyncio.current_task()
            self._wire.watch(self._hang_up)

    def unwatch(self) -> None:
        """Stop watching."""
        if self._task is not None and self._wire is not None:
            self._task = None
            self._wire.watch(None)

    def _hang_up(self) -> None:
        if self._task is not None and not self.ended:
            self.left = True
            self._task.cancel()

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers with the first body bytes."""
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes) -> None:
        """Send body bytes; waits while the caller reads too slowly."""
        before = time.perf_counter_ns()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self.waited_ns += time.perf_counter_ns() - before

    async def end(self, chunk: bytes = b"") -> None:
        """Send the last body bytes; the answer is complete."""
        self.ended = True
        before = time.perf_counter_ns()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})
        self.waited_ns += time.perf_counter_ns() - before

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer without having read the whole body: the connection closes, but only after the answer can be read."""
        self.unwatch()
        if self.body_done:
            await self.start(status, headers)
            await self.end(body)
            return
        await self.start(status, [*headers, (b"connection", b"close")])
        await self.write(body)
        with contextlib.suppress(TimeoutError, ClientGone, RequestRejected):
            async with asyncio.timeout(_DRAIN_S):
                async for _ in self.read_chunks(_DRAIN_BYTES):
                    pass
        await self.end()

    async def _next_chunk(self) -> bytes:
        # What asyncio.timeout does, at a third of its cost: nearly every body is there already.
        before = time.perf_counter_ns()
        late = False
        task = asyncio.current_task()
        assert task is not None

        def stand_still() -> None:
            nonlocal late
            late = True
            task.cancel()

        timer = task.get_loop().call_later(self._body_timeout_s, stand_still)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if late and task.uncancel() == 0:
                raise RequestRejected(
                    408, "request_timeout", f"The request's body stood still for {self._body_timeout_s:g} s."
                ) from None
            raise
        finally:
            timer.cancel()
            self.waited_ns += time.perf_counter_ns() - before
        if message["type"] == "http.disconnect":
            self.left = True
            raise ClientGone
        self.body_done = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def too_large(limit_bytes: int) -> RequestRejected:
    """The error for a body over the limit."""
    return RequestRejected(
        413,
        "request_too_large",
        f"The request is larger than {limit_bytes // (1024 * 1024)} MiB. LECTR_MAX_BODY_MB sets the limit.",
    )
