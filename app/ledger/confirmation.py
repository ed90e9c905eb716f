"""That something handed to the ledger survives the death of this process, and how long a request waits to hear it.

A confirmation is no asyncio.Future because two of them belong to every request: a future with a timeout of its own
costs four turns of the event loop's machinery where a callback and one timer for all that wait cost none.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol


class Confirming(Protocol):
    """What can be waited for; an asyncio.Future can, too."""

    def done(self) -> bool: ...
    def add_done_callback(self, callback: "Callable[..., None]", /) -> None: ...


class Confirmation:
    """Done once, in the event loop's thread. Awaiting it raises the LedgerError of what was lost."""

    __slots__ = ("_callbacks", "_done", "error")

    def __init__(self) -> None:
        self._done = False
        self.error: Exception | None = None
        self._callbacks: list[Callable[[Confirmation], None]] | None = None

    def done(self) -> bool:
        """True once it survives, or is lost."""
        return self._done

    def add_done_callback(self, callback: "Callable[[Confirmation], None]", /) -> None:
        """Call `callback` with this object when it is done; at once if it is."""
        if self._done:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def finish(self, error: Exception | None = None) -> None:
        """It survives, or is lost for the reason given. Only the first call counts."""
        if self._done:
            return
        self._done, self.error = True, error
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)

    def __await__(self) -> Generator[object, None, None]:
        if not self._done:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: _release(waiter))
            yield from waiter
        if self.error is not None:
            raise self.error


class BoundedWait:
    """Waits for confirmations, each at most `limit_s`. After one miss nobody waits until that one is done.

    `on_miss` is called for each that was not waited for to its end. Belongs to one event loop.
    """

    def __init__(self, limit_s: float, on_miss: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._on_miss = on_miss
        self._slow = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # All wait equally long, so the first to come is the first to be over: one timer serves them all.
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, written: Confirming | None) -> None:
        """Wait for `written`; None = there is nothing to wait for."""
        if written is None or written.done():
            return
        if self._slow:
            self._on_miss()
            return
        loop = self._loop = self._loop or asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        written.add_done_callback(lambda _: _release(waiter))
        self._waiting.append((loop.time() + self._limit_s, waiter))
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s, self._end_waits, loop)
        await waiter
        if not written.done():
            self._on_miss()
            self._slow = True
            written.add_done_callback(self._answers)

    def _answers(self, _written: object) -> None:
        self._slow = False

    def _end_waits(self, loop: asyncio.AbstractEventLoop) -> None:
        now, waiting = loop.time(), self._waiting
        while waiting and (waiting[0][0] <= now or waiting[0][1].done()):
            _release(waiting.popleft()[1])
        self._timer = loop.call_at(waiting[0][0], self._end_waits, loop) if waiting else None


def _release(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
