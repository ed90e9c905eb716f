"""Shutting down without cutting anybody short: what is under way may end, what comes new is turned away."""

import asyncio
import contextlib
from typing import Any

_SETTLE_S = 1.5
"""How long requests that were ended get to say goodbye to their callers and write their rows."""


class Drain:
    """The requests in this process. `draining` is set once and never taken back."""

    def __init__(self) -> None:
        self.draining = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._turned_away: set[asyncio.Task[Any]] = set()
        self._left = asyncio.Event()

    def enter(self) -> "asyncio.Task[Any] | None":
        """The running task serves a request from here on; one that begins while Lectr drains is turned away."""
        task = asyncio.current_task()
        if task is not None:
            (self._turned_away if self.draining else self._under_way).add(task)
        return task

    def leave(self, task: "asyncio.Task[Any] | None") -> None:
        """That request is over."""
        if task is not None:
            self._under_way.discard(task)
            self._turned_away.discard(task)
            self._left.set()

    async def run(self, timeout_s: float) -> None:
        """Wait until nothing is under way, at most `timeout_s`; then end what is left."""
        self.draining = True
        await self._until_over(self._under_way, timeout_s)
        for task in list(self._under_way):
            task.cancel()
        # Who is being turned away ends soon by itself: cancelled, its caller would get a 500 or half an answer.
        await self._until_over(self._under_way | self._turned_away, _SETTLE_S)

    async def _until_over(self, tasks: set[asyncio.Task[Any]], timeout_s: float) -> None:
        waited_for = set(tasks)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while waited_for & (self._under_way | self._turned_away):
                    self._left.clear()
                    await self._left.wait()
