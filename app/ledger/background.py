"""Work in the background that gives way to programs: in steps, one at a time, with rests between them.

While the process has little else to do there is no rest to speak of. While programs need it, such work gets a small
share of the time, and a larger one when it has gone on for long: somebody waits for its rows too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.ledger.polite import politely

FREE, PRESSED = 0.25, 0.5
"""Processors that this process uses while such work rests: up to FREE it goes at full speed, from PRESSED on least."""
LEAST, LATER = 0.08, 0.4
"""The least share of time that steps get: for the first seconds, and after them."""
PATIENT_S = 12.0
NEW_AFTER_S = 5.0
LOOK_S, LOOK_EVERY_S = 0.02, 0.25
LONGEST_REST_S = 2.0


class Background:
    """All such work of one process. Its methods belong to one event loop."""

    def __init__(self, used_s: Callable[[], float] = time.process_time) -> None:
        """`used_s` tells how much processor time this process has used."""
        self._used_s = used_s
        self._turn = asyncio.Lock()
        self._since = self._ended = self._looked = float("-inf")
        self._owed_s = 0.0
        self._busy = 1.0

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """One step, short of a tenth of a second if it can be; the rest that it owes comes behind it."""
        async with self._turn:
            began = time.monotonic()
            if began - self._ended > NEW_AFTER_S:
                self._since, self._busy = began, await self._look(LOOK_S)
                began = time.monotonic()
            with politely():
                yield
            await self._rest(time.monotonic() - began)
            self._ended = time.monotonic()

    async def _rest(self, took_s: float) -> None:
        # A step takes the longer the more others need, so that its own length is a measure too.
        self._owed_s = min(self._owed_s + took_s * (1 / self._share() - 1), LONGEST_REST_S)
        if self._owed_s < LOOK_S and time.monotonic() < self._looked + LOOK_EVERY_S:
            await asyncio.sleep(0)
            return
        rest_s, self._owed_s = max(self._owed_s, LOOK_S), 0.0
        self._busy = (self._busy + await self._look(rest_s)) / 2

    def _share(self) -> float:
        least = LEAST if time.monotonic() - self._since < PATIENT_S else LATER
        return max(least, min(1.0, (PRESSED - self._busy) / (PRESSED - FREE)))

    async def _look(self, for_s: float) -> float:
        """Rest for so long; returns how many processors the process has used meanwhile."""
        began, used_s = time.monotonic(), self._used_s()
        await asyncio.sleep(for_s)
        self._looked = time.monotonic()
        return (self._used_s() - used_s) / max(self._looked - began, for_s)
