"""Takes finished requests without waiting and writes them in groups.

One task takes whatever is waiting, writes it in one transaction and begins again: a crowd shares a commit. Where a
spool has the rows already it lets them gather first, for a moment or until somebody wants to read them; without one a
lone row is written at once. What cannot be written now waits (bounded); a row that can never be written is parked as
JSON text. Nothing here can fail or delay a request.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.errors import LedgerError
from app.ledger.clock import now_us
from app.ledger.confirmation import Confirmation
from app.ledger.database import Database, is_data_error
from app.ledger.dimensions import Dimensions
from app.ledger.gathering import FULL_BATCH, Gathering
from app.ledger.insert import insert_packed, missing_from
from app.ledger.journal import Journal
from app.ledger.refusals import reason_of
from app.ledger.rows import PackedEntry, entry_json, pack
from app.ledger.spool_record import Record
from app.ledger.started import Started
from app.ledger.storable import storable
from app.ledger.tables import ledger_parked

MAX_BATCH = 500
MAX_WAITING = 50_000
PACKED_AT_ONCE = 50
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STOP_WAIT_S, STOP_WAIT_WITH_SPOOL_S = 30.0, 2.0

_log = logging.getLogger("lectr.ledger")


class WriterCounters(msgspec.Struct, frozen=True):
    """What the writer has done since it started; `oldest_waiting_s` is 0.0 while nothing waits."""

    accepted: int
    written: int
    waiting: int
    parked: int
    lost: int
    oldest_waiting_s: float
    last_error: str = ""
    spool_requests: int = 0
    spool_unwritten: int = 0
    spool_error: str = ""
    replaying: int = 0
    replayed: int = 0
    interrupted: int = 0
    spool_damaged: int = 0
    spool_unread: int = 0


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    entry: LedgerEntry
    done: Confirmation
    since: float
    record: Record | None = None
    again: bool = False


class LedgerWriter:
    """The one way for requests into the ledger."""

    def __init__(
        self,
        database: Database,
        zone: Callable[[], str] | None = None,
        *,
        max_waiting: int = MAX_WAITING,
        journal: Journal | None = None,
    ) -> None:
        """`journal` confirms rows before the database does; without one only the database confirms.

        `zone` is not needed by this writer: the calendars stand in the database, where all processes agree.
        """
        self._database = database
        self._max_waiting = max_waiting
        self._journal = journal
        self._inserting = asyncio.Lock()
        self._dimensions = Dimensions()
        self._waiting: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._gathering = Gathering()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._accepted = self._written = self._parked = self._lost = 0
        self._last_error = ""

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ledger-writer")
        if self._journal is not None:
            self._journal.start(self.write_again)

    async def stop(self) -> None:
        """Write everything that waits, but not for long. What remains is lost unless the spool has it."""
        if self._journal is not None:
            await self._journal.stop_tending()
        self._stopping = True
        self._wake.set()
        self._gathering.hurry()
        task, self._task = self._task, None
        if task is not None:
            within_s = STOP_WAIT_S if self._journal is None else STOP_WAIT_WITH_SPOOL_S
            _, pending = await asyncio.wait([task], timeout=within_s)
            if pending:
                task.cancel()
                await asyncio.wait([task])
        for waiting in (*self._in_hand, *self._waiting):
            self._lose(waiting, "Lectr stopped before the row could be written")
        self._in_hand = []
        self._waiting.clear()
        if self._journal is not None:
            await self._journal.stop()

    def begin(self, started: Started) -> Confirmation | None:
        """Note in the spool that a request goes out; never waits, never raises. None where there is no spool.

        Done when the note survives the death of this process.
        """
        return None if self._journal is None else self._journal.begin(started)

    def hand_over(self, entry: LedgerEntry) -> Confirmation:
        """Take one finished request; never waits, never raises.

        Done when the row is in the spool, or committed (or parked) where that comes first; awaiting it raises a
        LedgerError if the row was lost.
        """
        record = None if self._journal is None else self._journal.end(entry)
        waiting = _Waiting(entry, Confirmation() if record is None else record, time.monotonic(), record)
        self._accepted += 1
        self._waiting.append(waiting)
        if len(self._waiting) > self._max_waiting:
            self._lose(self._waiting.popleft(), "too many rows wait for the database")
        self._wake.set()
        if len(self._waiting) >= FULL_BATCH:
            self._gathering.hurry()
        return waiting.done

    async def settle(self, within_s: float) -> None:
        """Wait until what was handed over by now is in the database, so that a reader sees it; never for longer."""
        if (self._waiting or self._in_hand) and not self._last_error:
            await self._gathering.until_settled(self._accepted, within_s)

    @property
    def counters(self) -> WriterCounters:
        """A snapshot of the counters."""
        journal = self._journal
        oldest = self._in_hand[0] if self._in_hand else self._waiting[0] if self._waiting else None
        return WriterCounters(
            accepted=self._accepted,
            written=self._written,
            waiting=len(self._waiting) + len(self._in_hand) + (0 if journal is None else journal.spilled),
            parked=self._parked,
            lost=self._lost + (0 if journal is None else journal.lost),
            oldest_waiting_s=0.0 if oldest is None else time.monotonic() - oldest.since,
            last_error=self._last_error,
            **({} if journal is None else journal.figures()),
        )

    def _lose(self, waiting: _Waiting, why: str) -> None:
        if self._journal is not None and waiting.record is not None and waiting.record.written:
            self._journal.spill(waiting.entry.id)
            return
        self._lost += 1
        waiting.done.finish(LedgerError(why))

    async def _run(self) -> None:
        while True:
            try:
                if not await self._turn():
                    return
            except Exception as error:
                # Nothing is known to get here. If something did, all rows from then on would wait for ever.
                _log.exception("writing the ledger failed in an unforeseen way and is tried again")
                self._last_error = str(error) or type(error).__name__
                self._waiting.extendleft(reversed(self._in_hand))
                self._in_hand = []
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _turn(self) -> bool:
        """Wait for rows and write some; False when everything is written and the writer is to stop."""
        if not self._waiting:
            if self._journal is not None and self._journal.spilled and not self._stopping:
                self._written += await self._journal.recover_spilled()
                return True
            if self._stopping:
                return False
            self._wake.clear()
            await self._wake.wait()
            return True
        if self._journal is not None and not self._stopping:
            # The spool has the rows and nobody waits for this.
            await self._gathering.pause()
        count = min(len(self._waiting), MAX_BATCH)
        self._in_hand = [self._waiting.popleft() for _ in range(count)]
        await self._write(self._in_hand)
        self._in_hand = []
        self._gathering.settled(self._accepted - len(self._waiting))
        return True

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Write the batch whatever it takes: pack it, insert it, halve it where its data is refused."""
        packed: list[PackedEntry] = []
        good: list[_Waiting] = []
        for number, waiting in enumerate(batch, 1):
            try:
                packed.append(pack(waiting.entry))
                good.append(waiting)
            except Exception as error:
                await self._park(waiting, error)
            if number % PACKED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if good:
            await self._insert(good, packed)

    async def write_again(self, entries: Sequence[LedgerEntry]) -> None:
        """Write rows that come from the spool; those the ledger has stay as they are. They are not counted."""
        missing = await missing_from(self._database, entries)
        now = time.monotonic()
        await self._write([_Waiting(entry, Confirmation(), now, again=True) for entry in missing])

    async def _insert(self, batch: Sequence[_Waiting], packed: Sequence[PackedEntry]) -> None:
        async def insert() -> None:
            async with self._inserting:
                await insert_packed(self._database, self._dimensions, packed)

        error = await self._until_possible(insert)
        if error is None:
            self._settle(batch)
        elif len(batch) == 1:
            await self._park(batch[0], error)
        else:
            half = len(batch) // 2
            await self._insert(batch[:half], packed[:half])
            await self._insert(batch[half:], packed[half:])

    async def _park(self, waiting: _Waiting, error: Exception) -> None:
        reason = storable(reason_of(error), 300)
        row = {"parked_at_us": now_us(), "reason": reason, "entry": entry_json(waiting.entry)}

        async def insert() -> None:
            await self._database.write_once(lambda connection: _park_row(connection, row))

        failed = await self._until_possible(insert)
        if failed is not None:
            self._lose(waiting, f"the row could not even be parked: {failed}")
            return
        _log.warning("one request's row was parked: %s", reason)
        self._settle([waiting], parked=True)

    def _settle(self, batch: Sequence[_Waiting], *, parked: bool = False) -> None:
        for waiting in batch:
            waiting.done.finish()
        if parked:
            self._parked += len(batch)
        else:
            # Rows that come again from the spool were accepted by another process, or counted before.
            self._written += sum(not waiting.again for waiting in batch)
        if self._journal is not None:
            self._journal.applied([waiting.entry.id for waiting in batch])

    async def _until_possible(self, work: Callable[[], Awaitable[None]]) -> Exception | None:
        """Run `work` until it succeeds (None) or its data is refused (the error); all else is tried again."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await work()
            except Exception as error:
                if is_data_error(error):
                    return error
                message = reason_of(error)
                if message != self._last_error:
                    _log.warning("the ledger cannot be written, %d rows wait: %s", self.counters.waiting, message)
                self._last_error = message
            else:
                self._last_error = ""
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _park_row(connection: sa.Connection, row: dict[str, object]) -> None:
    connection.execute(ledger_parked.insert(), row)
