"""The spool as the writer uses it: records go in; orphans and lost databases are brought back in the background."""

import asyncio
import logging
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.ledger.database import Database
from app.ledger.replay import Interrupted, Replay, ReplayCounters, WriteRows
from app.ledger.rows_since import rows_since_us
from app.ledger.spool import Spool
from app.ledger.spool_files import DONE, segments
from app.ledger.spool_format import END, START
from app.ledger.spool_record import Record
from app.ledger.started import Started
from app.ledger.tables import schema_info

TEND_S = 1.0
ADOPT_EVERY = 10
REPLAY_AGAIN_S = 5.0

_log = logging.getLogger("lectr.ledger")
_encode = msgspec.msgpack.Encoder().encode


class Journal:
    """One process's spool, and the care for all segments in its folder."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        interrupted: Interrupted,
        *,
        sync_first: bool = False,
        tend_s: float = TEND_S,
    ) -> None:
        """With `sync_first` what is confirmed survives a power cut too, not only the death of the process."""
        self._folder = folder
        self._database = database
        self._interrupted = interrupted
        self._tend_s = tend_s
        self._spool = Spool(folder, sync_first=sync_first)
        self._epoch = database.epoch
        self._replay: Replay | None = None
        self._task: asyncio.Task[None] | None = None
        self._spilled: set[str] = set()
        self.lost = 0
        """Rows that were left to the spool and could not be found there again."""

    def start(self, write: WriteRows) -> None:
        """Begin; `write` puts replayed rows into the ledger. Needs a running event loop."""
        self._replay = Replay(self._folder, write, self._interrupted, self._database.background)
        self._spool.start()
        self._task = asyncio.get_running_loop().create_task(self._tend(self._replay), name="ledger-journal")

    async def stop_tending(self) -> None:
        """End the work in the background; what it has not done is done at the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop(self) -> None:
        """Close the spool; call it when the last row is in the database."""
        await self._spool.stop()

    def begin(self, started: Started) -> Record | None:
        """Note that a request goes out; None if it cannot be noted."""
        return self._record(started.id, START, started)

    def end(self, entry: LedgerEntry) -> Record | None:
        """Note a request's row; None if only the database can take it."""
        return self._record(entry.id, END, entry)

    def _record(self, id: str, kind: int, value: object) -> Record | None:
        try:
            return self._spool.append(id, kind, _encode(value))
        except Exception as error:
            _log.warning("a record does not fit the spool: %s", error)
            return None

    def applied(self, ids: Iterable[str]) -> None:
        """These rows are durably in the database."""
        self._spool.applied(ids)

    def spill(self, id: str) -> None:
        """Memory is full: this row, which is in the spool, comes back from there."""
        self._spilled.add(id)

    @property
    def spilled(self) -> int:
        """Rows of this process that only the spool holds."""
        return len(self._spilled)

    def figures(self) -> dict[str, Any]:
        """The writer's counters that are the spool's."""
        spool = self._spool.state
        replayed = ReplayCounters() if self._replay is None else self._replay.counters
        return {
            "spool_requests": spool.requests,
            "spool_unwritten": spool.unwritten,
            "spool_error": spool.error,
            # Between two segments, and in a rest, no record is in hand and much may be left.
            "replaying": max(replayed.left, replayed.segments),
            "replayed": replayed.rows,
            "interrupted": replayed.interrupted,
            "spool_damaged": replayed.damaged,
            "spool_unread": replayed.unread,
        }

    async def recover_spilled(self) -> int:
        """Write what was left to the spool; returns how many rows. Call it when nothing waits in memory."""
        if self._replay is None or not self._spilled:
            return 0
        wanted = set(self._spilled)
        found = await self._replay.reread(self._spool.segments_in_use(), wanted)
        self._spool.applied(found)
        self.lost += len(wanted) - len(found)
        self._spilled -= wanted
        return len(found)

    async def _tend(self, replay: Replay) -> None:
        turn = 0
        while True:
            try:
                if turn % ADOPT_EVERY == 0:
                    if await self._is_foreign():
                        await self._rebuild(replay)
                    replay.rows_since_us = await self._database.read(rows_since_us)
                    await replay.adopt(parked=turn == 0)
                turn += 1
                if self._database.file_is_gone:
                    await self._database.write_once(lambda _: None)
                if self._database.epoch != self._epoch:
                    await self._rebuild(replay)
            except Exception as error:
                _log.warning("the spool could not be replayed and is tried again: %s", error)
                await asyncio.sleep(REPLAY_AGAIN_S)
            await asyncio.sleep(self._tend_s)

    async def _rebuild(self, replay: Replay) -> None:
        epoch = self._database.epoch
        replay.rows_since_us = await self._database.read(rows_since_us)
        if await replay.rebuild():
            _log.warning("the database is not the one the spool knew: the rows of all kept segments were brought back")
        await self._mark()
        self._epoch = epoch

    async def _is_foreign(self) -> bool:
        """True if the database is another one than the segments were written into."""
        identity = await self._identity()
        mark = self._folder / "database"
        if mark.exists():
            return mark.read_text() != identity
        if segments(self._folder, DONE):
            return True
        await self._mark()
        return False

    async def _mark(self) -> None:
        partial = self._folder / "database.new"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = await self._identity()
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_text(identity)
        partial.replace(self._folder / "database")

    async def _identity(self) -> str:
        """A name the ledger keeps in itself, since inodes come again, and its inode, since backups keep the name."""
        name = await self._database.write(_name_of_ledger)
        stat = None if self._database.path is None else self._database.path.stat()
        return name if stat is None else f"{name} {stat.st_dev}:{stat.st_ino}"


def _name_of_ledger(connection: sa.Connection) -> str:
    query = sa.select(schema_info.c.value).where(schema_info.c.name == "ledger")
    found: str | None = connection.execute(query).scalar()
    if found is None:
        found = secrets.token_hex(8)
        connection.execute(schema_info.insert(), {"name": "ledger", "value": found})
    if connection.dialect.name == "postgresql":
        # A dump that was restored keeps the name, but its tables are other ones.
        number = connection.exec_driver_sql("SELECT 'requests'::regclass::oid").scalar_one()
        return f"{found} {number}"
    return found
