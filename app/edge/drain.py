"""Shutting down without cutting anybody short: what is under way may end, what comes new is turned away."""

import asyncio
import contextlib
from typing import Any

_SETTLE_S = 1.5
"""How long requests that were ended get to say goodbye to their callers and write their rows."""


class Drain:
    """The requests under way in this process. `draining` is set once and never taken back."""

    def __init__(self) -> None:
        self.draining = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()

    def enter(self) -> "asyncio.Task[Any] | None":
        """The running task serves a request from here on."""
        task = asyncio.current_task()
        if task is not None:
            self._under_way.add(task)
        return task

    def leave(self, task: "asyncio.Task[Any] | None") -> None:
        """That request is over."""
        if task is not None:
            self._under_way.discard(task)
            if self.draining and not self._under_way:
                self._idle.set()

    async def run(self, timeout_s: float) -> None:
        """Wait until nothing is under way, at most `timeout_s`; then end what is left."""
        self.draining = True
        await self._until_idle(timeout_s)
        for task in list(self._under_way):
            task.cancel()
        await self._until_idle(_SETTLE_S)

    async def _until_idle(self, timeout_s: float) -> None:
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), timeout_s)
