"""Takes finished requests without waiting and writes them in groups.

One task takes whatever is waiting, writes it in one transaction and begins again: no timer, so a lone row is written
at once and a crowd shares a commit. What cannot be written now waits (bounded); a row that can never be written is
parked as JSON text. Nothing here can fail or delay a request.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.errors import LedgerError
from app.ledger.clock import now_us
from app.ledger.database import Database, is_data_error
from app.ledger.dimensions import Dimensions
from app.ledger.insert import insert_packed
from app.ledger.rows import PackedEntry, entry_json, pack
from app.ledger.storable import storable
from app.ledger.tables import ledger_parked

MAX_BATCH = 500
MAX_WAITING = 50_000
PACKED_AT_ONCE = 50
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STOP_WAIT_S = 30.0

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


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    entry: LedgerEntry
    done: "asyncio.Future[None]"
    since: float


class LedgerWriter:
    """The one way for requests into the ledger."""

    def __init__(
        self, database: Database, zone: Callable[[], str] | None = None, *, max_waiting: int = MAX_WAITING
    ) -> None:
        """`zone` is not needed by this writer: the calendars stand in the database, where all processes agree."""
        self._database = database
        self._max_waiting = max_waiting
        self._dimensions = Dimensions()
        self._waiting: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._accepted = self._written = self._parked = self._lost = 0
        self._last_error = ""

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ledger-writer")

    async def stop(self) -> None:
        """Write everything that waits, at most 30 s, then end. What remains is counted as lost."""
        self._stopping = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            _, pending = await asyncio.wait([task], timeout=STOP_WAIT_S)
            if pending:
                task.cancel()
                await asyncio.wait([task])
        for waiting in (*self._in_hand, *self._waiting):
            self._lose(waiting, "Lectr stopped before the row could be written")
        self._in_hand = []
        self._waiting.clear()

    def hand_over(self, entry: LedgerEntry) -> "asyncio.Future[None]":
        """Take one finished request; never waits, never raises.

        The future is done when the row is committed (or parked), and has a LedgerError if the row was lost.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(entry, loop.create_future(), loop.time())
        self._accepted += 1
        self._waiting.append(waiting)
        if len(self._waiting) > self._max_waiting:
            self._lose(self._waiting.popleft(), "too many rows wait for the database")
        self._wake.set()
        return waiting.done

    @property
    def counters(self) -> WriterCounters:
        """A snapshot of the counters."""
        oldest = self._in_hand[0] if self._in_hand else self._waiting[0] if self._waiting else None
        return WriterCounters(
            accepted=self._accepted,
            written=self._written,
            waiting=len(self._waiting) + len(self._in_hand),
            parked=self._parked,
            lost=self._lost,
            oldest_waiting_s=0.0 if oldest is None else oldest.done.get_loop().time() - oldest.since,
            last_error=self._last_error,
        )

    def _lose(self, waiting: _Waiting, why: str) -> None:
        self._lost += 1
        if not waiting.done.done():
            waiting.done.set_exception(LedgerError(why))
            # Nobody has to look at it: a client that left does not wait for its row.
            waiting.done.exception()

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            count = min(len(self._waiting), MAX_BATCH)
            self._in_hand = [self._waiting.popleft() for _ in range(count)]
            await self._write(self._in_hand)
            self._in_hand = []

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

    async def _insert(self, batch: Sequence[_Waiting], packed: Sequence[PackedEntry]) -> None:
        async def insert() -> None:
            await insert_packed(self._database, self._dimensions, packed)

        error = await self._until_possible(insert)
        if error is None:
            self._written += len(batch)
            for waiting in batch:
                _resolve(waiting)
        elif len(batch) == 1:
            await self._park(batch[0], error)
        else:
            half = len(batch) // 2
            await self._insert(batch[:half], packed[:half])
            await self._insert(batch[half:], packed[half:])

    async def _park(self, waiting: _Waiting, error: Exception) -> None:
        reason = storable(str(getattr(error, "orig", None) or error) or type(error).__name__, 300)
        row = {"parked_at_us": now_us(), "reason": reason, "entry": entry_json(waiting.entry)}

        async def insert() -> None:
            await self._database.write_once(lambda connection: _park_row(connection, row))

        failed = await self._until_possible(insert)
        if failed is not None:
            self._lose(waiting, f"the row could not even be parked: {failed}")
            return
        self._parked += 1
        _log.warning("one request's row was parked: %s", reason)
        _resolve(waiting)

    async def _until_possible(self, work: Callable[[], Awaitable[None]]) -> Exception | None:
        """Run `work` until it succeeds (None) or its data is refused (the error); all else is tried again."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await work()
            except Exception as error:
                if is_data_error(error):
                    return error
                message = str(getattr(error, "orig", None) or error)
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


def _resolve(waiting: _Waiting) -> None:
    if not waiting.done.done():
        waiting.done.set_result(None)
