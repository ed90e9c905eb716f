"""The append-only journal in front of the database: what it has confirmed survives the death of the process.

Two threads do what may block. One writes: it takes all records that wait, hands them to the kernel in one `write` and
confirms them. The other brings them to the disk (fdatasync) and moves segments whose records are all in the database
out of the way. A disk that stands still or fails stops neither the event loop nor traffic: records wait in memory
(bounded), a failed segment is given up, and what memory still holds of it is written again into a new one.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue

from app.ledger.spool_files import SEGMENT_BYTES, SegmentFile, delete_expired, owner_name, reason
from app.ledger.spool_format import frame
from app.ledger.spool_record import Record, SpoolState, let_go, take_group

SYNC_S = 0.05
PROBE_S = 1.0
CLEAR_S = 60.0
STOP_WAIT_S = 5.0
MAX_IN_MEMORY = 50_000

_log = logging.getLogger("lectr.ledger")


class Spool:
    """The spool of one process. All methods belong to its event loop."""

    def __init__(
        self,
        folder: Path,
        *,
        sync_first: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        sync_s: float = SYNC_S,
        probe_s: float = PROBE_S,
    ) -> None:
        """With `sync_first` a record is confirmed when the disk has it: it survives a power cut too."""
        self.folder = folder
        self._sync_first = sync_first
        self._segment_bytes = segment_bytes
        self._sync_s = sync_s
        self._probe_s = probe_s
        self._names = map(f"{owner_name()}-{{:06d}}".format, itertools.count())
        self._loop: asyncio.AbstractEventLoop
        self._live: dict[str, list[Record]] = {}
        self._fresh: list[Record] = []
        # A tuple is new, a list comes back because the disk failed, None is the end.
        self._queue: SimpleQueue[tuple[Record, ...] | list[Record] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unsynced: list[tuple[SegmentFile, list[Record]]] = []
        self._unsynced_records = 0
        self._spare: SegmentFile | None = None
        self._segment: SegmentFile | None = None
        self._open: set[SegmentFile] = set()
        self._retired: deque[SegmentFile] = deque()
        self._ended = threading.Event()
        self._housework = threading.Event()
        self._unwritten = self._dropped = 0
        self._write_error = self._sync_error = ""
        self._threads = [
            threading.Thread(target=self._write_all, name="spool-write", daemon=True),
            threading.Thread(target=self._keep_house, name="spool-sync", daemon=True),
        ]

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Write and sync what waits (at most 5 s) and let the segments go; those that are done are marked so."""
        self._pass_on()
        self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join, STOP_WAIT_S)

    def append(self, id: str, kind: int, body: bytes) -> Record:
        """Take one record of request `id`; never waits. Raises ValueError for a body over 256 KiB."""
        data = frame(kind, body)
        if len(data) > self._segment_bytes:
            raise ValueError(f"a record of {len(data)} bytes is too long for a segment")
        record = Record(id, kind, data)
        self._live.setdefault(id, []).append(record)
        self._unwritten += 1
        if not self._fresh:
            self._loop.call_soon(self._pass_on)
        self._fresh.append(record)
        return record

    def applied(self, ids: Iterable[str]) -> None:
        """The rows of these requests are durably in the database: their records are not needed any more."""
        for one in ids:
            for record in self._live.pop(one, ()):
                record.applied = True
                if record.segment is not None:
                    self._forget(record.segment)

    def segments_in_use(self) -> list[Path]:
        """The segments with records that are not in the database."""
        return sorted(segment.path for segment in list(self._open) if segment.waiting)

    @property
    def state(self) -> SpoolState:
        """A snapshot."""
        return SpoolState(len(self._live), self._unwritten, self._dropped, self._write_error or self._sync_error)

    def _pass_on(self) -> None:
        # All records of one turn of the loop: to wake the other thread costs more than a record.
        if self._fresh:
            self._queue.put(tuple(self._fresh))
            self._fresh.clear()

    def _forget(self, segment: SegmentFile) -> None:
        segment.waiting -= 1
        self._retire(segment)

    def _retire(self, segment: SegmentFile) -> None:
        if segment.full and segment.waiting == 0:
            self._retired.append(segment)
            self._housework.set()

    def _written(self, records: list[Record], segment: SegmentFile) -> None:
        for record in records:
            if record.segment is None:
                self._unwritten -= 1
            elif not record.applied:
                self._forget(record.segment)
            if not record.applied:
                segment.waiting += 1
            record.segment = segment
            record.finish()

    def _filled(self, segment: SegmentFile) -> None:
        segment.full = True
        self._retire(segment)

    def _lost_in_memory(self, records: list[Record]) -> None:
        self._dropped += len(records)
        for record in records:
            if record.segment is None:
                self._unwritten -= 1
                let_go(self._live, record)
            record.data = b""

    def _tell(self, callback: object, *values: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *values)  # type: ignore[arg-type]

    def _write_all(self) -> None:
        """The writing thread."""
        waiting: deque[Record] = deque()
        probe_at = 0.0
        going = True
        while going:
            going = self._take(waiting, max(probe_at - time.monotonic(), 0.0) if waiting else None)
            if not waiting or (going and time.monotonic() < probe_at):
                continue
            try:
                self._write(waiting)
                probe_at, self._write_error = 0.0, ""
            except Exception as error:
                probe_at = self._give_up(waiting, error)
        if self._segment is not None:
            self._tell(self._filled, self._segment)
        # The loop has to see the last confirmations before segments can be told done from not done.
        self._tell(self._ended.set)
        self._tell(self._housework.set)

    def _take(self, waiting: deque[Record], pause: float | None) -> bool:
        """Move everything that has come to `waiting`; False when the spool ends."""
        try:
            got = self._queue.get(timeout=pause) if pause is None or pause > 0 else self._queue.get_nowait()
            while True:
                if got is None:
                    return False
                if isinstance(got, tuple):
                    waiting.extend(got)
                else:
                    waiting.extendleft(reversed(got))
                    self._abandon()
                got = self._queue.get_nowait()
        except Empty:
            pass
        if len(waiting) > MAX_IN_MEMORY:
            dropped = [waiting.popleft() for _ in range(len(waiting) - MAX_IN_MEMORY)]
            self._tell(self._lost_in_memory, dropped)
        return True

    def _write(self, waiting: deque[Record]) -> None:
        while waiting:
            segment = self._segment or self._next_segment()
            group = take_group(waiting, segment)
            if not group:
                self._abandon()
                continue
            try:
                segment.write(b"".join([record.data for record in group]))
                if self._sync_first:
                    segment.sync()
            except BaseException:
                waiting.extendleft(reversed(group))
                raise
            with self._lock:
                # Beyond that only the kernel has them: memory must not grow with a disk that stands still.
                if self._unsynced_records < MAX_IN_MEMORY:
                    self._unsynced.append((segment, group))
                    self._unsynced_records += len(group)
            self._housework.set()
            self._tell(self._written, group, segment)

    def _next_segment(self) -> SegmentFile:
        with self._lock:
            segment, self._spare = self._spare, None
        self._segment = segment or SegmentFile.create(self.folder, next(self._names), self._segment_bytes)
        self._open.add(self._segment)
        return self._segment

    def _abandon(self) -> None:
        if self._segment is not None:
            self._tell(self._filled, self._segment)
            self._segment = None

    def _give_up(self, waiting: deque[Record], error: Exception) -> float:
        """Leave the segment that failed, take back what it may have lost; returns when to try again."""
        self._abandon()
        with self._lock:
            back, self._unsynced, self._unsynced_records = self._unsynced, [], 0
        waiting.extendleft(record for _, group in reversed(back) for record in reversed(group))
        first, self._write_error = not self._write_error, reason(error)
        if first:
            _log.warning("the spool cannot be written: %s", self._write_error)
            return 0.0
        return time.monotonic() + self._probe_s

    def _keep_house(self) -> None:
        """The thread that syncs and clears."""
        clear_at, pause = 0.0, self._sync_s
        while not self._ended.wait(pause):
            self._housework.clear()
            idle = not self._unsynced
            pause = self._sync_s if self._sync() else self._probe_s
            self._prepare_spare()
            self._move_retired()
            if time.monotonic() >= clear_at:
                clear_at = time.monotonic() + CLEAR_S
                with contextlib.suppress(OSError):
                    delete_expired(self.folder, time.time())
            if idle:
                self._housework.wait(CLEAR_S)
        self._sync()
        self._move_retired()
        for segment in self._open:
            segment.close()
        if self._spare is not None:
            with contextlib.suppress(OSError):
                self._spare.remove()

    def _sync(self) -> bool:
        with self._lock:
            groups, self._unsynced, self._unsynced_records = self._unsynced, [], 0
        try:
            for segment in {segment for segment, _ in groups}:
                segment.sync()
        except OSError as error:
            # What the kernel could not bring to the disk it may have thrown away: only memory still has it.
            if not self._sync_error:
                _log.warning("the spool's disk failed: %s", reason(error))
            self._sync_error = reason(error)
            self._queue.put([record for _, group in groups for record in group])
            return False
        self._sync_error = ""
        for _, group in groups:
            for record in group:
                record.data = b""
        return True

    def _prepare_spare(self) -> None:
        if self._spare is None and self._segment is not None:
            with contextlib.suppress(OSError):
                spare = SegmentFile.create(self.folder, next(self._names), self._segment_bytes)
                with self._lock:
                    self._spare = spare

    def _move_retired(self) -> None:
        while self._retired:
            segment = self._retired.popleft()
            self._open.discard(segment)
            with contextlib.suppress(OSError):
                segment.retire()
