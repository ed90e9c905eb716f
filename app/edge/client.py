"""The caller's side of one request: its body coming in, the answer going out, and whether it is still there."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from app.domain import Headers
from app.errors import RequestRejected

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_S = 2.0
"""Most clients write their whole body before they read: closing while they write would reset the refusal away."""

_WATCH_AFTER_S = 0.05
"""What is answered sooner needs no task that watches its caller; one who has left by then is seen at once."""


class ClientGone(Exception):
    """The caller left before its request was whole."""


class Client:
    """One caller. `waited_ns` is the time spent waiting for it; `left` is True once it has hung up."""

    def __init__(self, receive: Receive, send: Send, *, body_timeout_s: float) -> None:
        self._receive = receive
        self._send = send
        self._body_timeout_s = body_timeout_s
        self._watcher: asyncio.Task[None] | asyncio.TimerHandle | None = None
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
        if self._watcher is None and (task := asyncio.current_task()) is not None:
            self._watcher = task.get_loop().call_later(_WATCH_AFTER_S, self._begin_to_watch, task)

    def _begin_to_watch(self, task: asyncio.Task[Any]) -> None:
        self._watcher = asyncio.create_task(self._watch(task))

    def unwatch(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

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

    async def _watch(self, task: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.ended:
            self.left = True
            task.cancel()


def too_large(limit_bytes: int) -> RequestRejected:
    """The error for a body over the limit."""
    return RequestRejected(
        413,
        "request_too_large",
        f"The request is larger than {limit_bytes // (1024 * 1024)} MiB. LECTR_MAX_BODY_MB sets the limit.",
    )
