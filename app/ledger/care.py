"""Looks after the database while Lectr serves: is it whole, is a copy of what cannot be missed kept, how large is it.

Two tasks, off the request path. What it finds damaged is set aside by the next write; what a file that was set aside
still holds is read and written into the new one.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.counters import Counters
from app.domain import LedgerEntry
from app.errors import LedgerAway, LedgerError
from app.ledger.clock import now_us, utc_text
from app.ledger.damage import find_damage
from app.ledger.damaged_rows import DamagedRows
from app.ledger.database import Database
from app.ledger.essentials import Essentials, keep_copy, read_copy, read_essentials
from app.ledger.insert import known_ids
from app.ledger.maintenance import database_bytes, last_backup_us
from app.ledger.polite import apart
from app.ledger.retention import delete_some, oldest_kept_us
from app.ledger.setting_aside import SetAside, set_aside_files
from app.ledger.sqlite_files import FileLock

TURN_S = 1.0
LOOK_EVERY_S = 5.0
COPY_EVERY_S = 10.0
CHECK_EVERY_S = 600.0
CHECK_SHARE = 200
"""A check takes at most one part in so many of the time."""
FIRST_CHECK_S = 15.0
SLOW_SHOWN_S = 60.0
PAUSE_S = 0.02
DELETE_EVERY_S = 60.0

_log = logging.getLogger("lectr.ledger")

WriteRows = Callable[[Sequence[LedgerEntry]], Awaitable[None]]
_Due = dict[Callable[[], Awaitable[float]], float]
"""What is to be done, and when next."""


class CareFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the database as it was last looked at; None: not yet, or never.

    `slow` is True where answers went out within the last minute that the spool had not confirmed in time.
    """

    database: str
    bytes: int | None = None
    backup_at_us: int | None = None
    checked_at_us: int | None = None
    set_aside: tuple[SetAside, ...] = ()
    slow: bool = False


class Caretaker:
    """One process's care for its database.

    `counters` are the process's own, `retention_days` tells how long rows are kept (None: for ever).
    """

    def __init__(
        self,
        database: Database,
        write: WriteRows,
        counters: Counters,
        retention_days: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._database = database
        self._retention_days = retention_days
        self._write = write
        self._counters = counters
        self._unconfirmed_before = 0
        self._slow_until = 0.0
        self._ended = threading.Event()
        self._copied: Essentials | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._figures = CareFigures(database=database.shown)
        begun = time.monotonic()
        self._due: _Due = {
            self._watch_spool: begun,
            self._look: begun,
            self._keep_copy: begun,
            self._check: begun + FIRST_CHECK_S,
            self._delete_old: begun + FIRST_CHECK_S,
        }
        # A duty of its own: under load it takes long, and keys that are made meanwhile have to be copied.
        self._due_apart: _Due = {self._read_set_aside: begun}

    @property
    def figures(self) -> CareFigures:
        """What was last seen."""
        return msgspec.structs.replace(self._figures, slow=time.monotonic() < self._slow_until)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(due), name="ledger-care") for due in (self._due, self._due_apart)]

    async def copy_soon(self) -> None:
        """Keys or settings have changed: keep a copy at the next turn."""
        self._due[self._keep_copy] = 0.0

    async def stop(self) -> None:
        """End; what was not done is done by the next process."""
        # A thread that reads a large file would hold the end of the process for as long as that takes.
        self._ended.set()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, due: "_Due") -> None:
        while True:
            for duty, due_s in list(due.items()):
                if time.monotonic() < due_s:
                    continue
                pause = LOOK_EVERY_S
                try:
                    pause = await duty()
                except LedgerAway:
                    # Whoever writes or reads says so; this need not say it every few seconds too.
                    pause = TURN_S
                except (LedgerError, OSError, sqlite3.Error) as error:
                    _log.warning("the ledger could not be looked after: %s", error)
                except Exception:
                    _log.exception("the ledger could not be looked after")
                due[duty] = time.monotonic() + pause
            await asyncio.sleep(TURN_S)

    async def _watch_spool(self) -> float:
        count = self._counters.ledger_unconfirmed
        if count != self._unconfirmed_before:
            self._unconfirmed_before, self._slow_until = count, time.monotonic() + SLOW_SHOWN_S
        return 0.0

    async def _look(self) -> float:
        """Sizes, backups, files that were set aside."""
        path = self._database.path
        found = () if path is None else tuple(await asyncio.to_thread(set_aside_files, path))
        backup_at_us = None if path is None else await asyncio.to_thread(last_backup_us, path)
        size = await database_bytes(self._database)
        self._figures = msgspec.structs.replace(self._figures, bytes=size, backup_at_us=backup_at_us, set_aside=found)
        return LOOK_EVERY_S

    async def _keep_copy(self) -> float:
        """Copy the small tables beside the file, or for the time a server is away, when they have changed."""
        path = self._database.beside
        if not self._database.file_is_gone:
            found = await self._database.read(read_essentials)
            if self._copied is None:
                self._copied = await asyncio.to_thread(read_copy, path)
            if _lasting(found) != _lasting(self._copied):
                await asyncio.to_thread(keep_copy, path, found)
                self._copied = found
        return COPY_EVERY_S

    async def _check(self) -> float:
        """Look through the whole file: SQLite goes on inserting into one that is damaged elsewhere."""
        path = self._database.path
        if path is None or self._database.file_is_gone:
            return CHECK_EVERY_S
        began = time.monotonic()
        found = await asyncio.to_thread(find_damage, path, ended=self._ended)
        took = time.monotonic() - began
        if found is not None:
            self._database.suspect(found)
            await self._database.write_once(lambda _: None)
        self._figures = msgspec.structs.replace(self._figures, checked_at_us=now_us())
        return max(CHECK_EVERY_S, took * CHECK_SHARE)

    async def _delete_old(self) -> float:
        """Delete rows that are older than the team keeps them, a few at a time, with air for the others between."""
        days = self._retention_days()
        # Rows that are deleted while a damaged file is still read would come back from it, and be counted twice.
        if days is None or await self._is_read_from():
            return LOOK_EVERY_S
        before_us = oldest_kept_us(now_us(), days)
        deleted = 0
        while count := 0 if await self._is_read_from() else await delete_some(self._database, before_us):
            deleted += count
            await asyncio.sleep(PAUSE_S)
        if deleted:
            _log.info("%d rows from before %s were deleted; their daily sums are kept", deleted, utc_text(before_us))
        return DELETE_EVERY_S

    async def _is_read_from(self) -> bool:
        """True while rows may still come from a file that was set aside."""
        path = self._database.path
        found = () if path is None else await asyncio.to_thread(set_aside_files, path)
        return any(not report.searched for report in (*found, *self._figures.set_aside))

    async def _read_set_aside(self) -> float:
        """Bring the rows over that a damaged file still gives; one process does it."""
        path = self._database.path
        for report in () if path is None else await asyncio.to_thread(set_aside_files, path):
            if path is not None and not report.searched:
                lock = FileLock(path.with_name(report.file + ".lock"))
                if await asyncio.to_thread(lock.take):
                    try:
                        await self._bring_over(path.parent, report)
                    finally:
                        lock.release()
        return LOOK_EVERY_S

    async def _bring_over(self, folder: Path, report: SetAside) -> None:
        rows = DamagedRows(folder / report.file)
        chunks = rows.chunks(now_us())
        found = 0
        chunk: list[Any] | None = []
        try:
            while chunk is not None:
                async with self._database.background.step():
                    chunk = await apart(lambda: next(chunks, None))
                    found += await self._bring_some(rows, chunk) if chunk else 0
        finally:
            await asyncio.to_thread(rows.close)
        done = msgspec.structs.replace(report, rows=found, gaps=rows.gaps, searched=True)
        await asyncio.to_thread(done.write, folder)
        with contextlib.suppress(OSError):
            (folder / (report.file + ".lock")).unlink()
        _log.warning("%d requests were read from %s; %d parts of it could not be read", found, report.file, rows.gaps)

    async def _bring_some(self, rows: DamagedRows, chunk: Sequence[Any]) -> int:
        """Bring these rows over; returns how many the ledger has now."""
        # The spool has brought most of them back before: those are neither decoded nor written.
        known = await known_ids(self._database, [bytes(row[0]) for row in chunk])
        new = [row for row in chunk if bytes(row[0]) not in known]
        entries = await apart(lambda: rows.entries(new)) if new else []
        if entries:
            await self._write(entries)
        return len(known) + len(entries)


def _lasting(found: Essentials) -> Essentials:
    """Without what changes with every request."""
    return {
        name: [{column: value for column, value in row.items() if column != "last_used_at_us"} for row in rows]
        for name, rows in found.items()
    }
