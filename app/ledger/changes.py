"""Tells every process what another one has changed, within a second.

A change of keys or team settings raises a generation in the same transaction; each process reads the few
generations twice a second and reloads what moved.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from app.errors import LedgerError
from app.ledger.database import Database
from app.ledger.tables import changes

POLL_S = 0.4
LONGEST_PAUSE_S = 5.0
FLUSH_S = 15.0
KEYS, TEAM = "keys", "team"
_GENERATIONS = str(sa.select(changes.c.kind, changes.c.generation))

Reload = Callable[[], Awaitable[None]]
_log = logging.getLogger("lectr.ledger")


def announce(connection: sa.Connection, kind: str) -> None:
    """Raise the generation of `kind`; call it in the transaction of the change."""
    connection.execute(changes.update().where(changes.c.kind == kind).values(generation=changes.c.generation + 1))


class ChangeFeed:
    """Polls the generations and calls the reloads of the kinds that moved."""

    def __init__(self, database: Database, poll_s: float = POLL_S) -> None:
        self._database = database
        self._poll_s = poll_s
        self._reloads: dict[str, list[Reload]] = {}
        self._flushes: list[Reload] = []
        self._seen: dict[str, int] = {}
        self._trouble = ""
        self._pause_s = poll_s
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, kind: str, reload: Reload) -> None:
        """Call `reload` when another process has changed `kind`, and once at the first poll."""
        self._reloads.setdefault(kind, []).append(reload)

    def flush_with(self, flush: Reload) -> None:
        """Call `flush` now and then, and when the feed stops: for what is kept in memory and written lazily."""
        self._flushes.append(flush)

    def start(self) -> None:
        """Poll in a task of its own until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self.watch(), name="ledger-changes")

    async def stop(self) -> None:
        """End the task and flush."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._flush()

    async def watch(self, callback: Callable[[str], Awaitable[None]] | None = None) -> None:
        """Poll for ever; `callback` gets the kind of each change beside the subscribed reloads."""
        loop = asyncio.get_running_loop()
        flushed = loop.time()
        while True:
            for kind in await self.poll():
                if callback is not None:
                    await callback(kind)
            if self._trouble:
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
            else:
                self._pause_s = self._poll_s
            if loop.time() - flushed > FLUSH_S:
                flushed = loop.time()
                await self._flush()
            await asyncio.sleep(self._pause_s)

    async def poll(self) -> list[str]:
        """Look once; reload what moved and return its kinds. What cannot be read now is looked at again next time."""
        moved: list[str] = []
        try:
            for kind, generation in await self._database.glance(_GENERATIONS):
                if self._seen.get(kind) == generation:
                    continue
                for reload in self._reloads.get(kind, ()):
                    await reload()
                self._seen[kind] = generation
                moved.append(kind)
            self._trouble = ""
        except LedgerError as error:
            if str(error) != self._trouble:
                _log.warning("changes made elsewhere cannot be seen at present: %s", error)
            self._trouble = str(error)
        return moved

    async def _flush(self) -> None:
        for flush in self._flushes:
            with contextlib.suppress(LedgerError):
                await flush()
