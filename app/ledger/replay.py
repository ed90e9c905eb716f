"""Brings the records of segments into the database: those of dead processes, and all that are kept for a lost one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby, islice
from pathlib import Path

import msgspec

from app.domain import LedgerEntry
from app.ledger.background import Background
from app.ledger.polite import apart
from app.ledger.spool_files import DONE, LIVE, PARKED, SegmentFile, adopt_orphans, owner_of, segments
from app.ledger.spool_format import END, Found, Segment, read_segment
from app.ledger.started import Started

RECORDS_AT_ONCE = 500
ROWS_AT_ONCE = 250
DECODED_AT_ONCE = 100

WriteRows = Callable[[Sequence[LedgerEntry]], Awaitable[None]]
Interrupted = Callable[[Started], LedgerEntry]

_log = logging.getLogger("lectr.ledger")
_read_entry = msgspec.msgpack.Decoder(LedgerEntry).decode
_read_started = msgspec.msgpack.Decoder(Started).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class ReplayCounters(msgspec.Struct):
    """What has been replayed since the process started.

    `left` records of the segment in hand are still to do; `segments` are in hand until the last of them is done.
    `damaged` records could not be read, `unread` were written by another version, `torn` segments end in half a
    record: the one being written when its process died.
    """

    left: int = 0
    segments: int = 0
    rows: int = 0
    interrupted: int = 0
    damaged: int = 0
    torn: int = 0
    unread: int = 0
    failed: int = 0


class Replay:
    """`write` puts rows into the ledger, each id once; `interrupted` makes the row of a request that never ended.

    The steps of a replay are taken in the `background`.
    """

    def __init__(
        self, folder: Path, write: WriteRows, interrupted: Interrupted, background: Background | None = None
    ) -> None:
        self._folder = folder
        self._write = write
        self._interrupted = interrupted
        self._background = background or Background()
        self.counters = ReplayCounters()
        self.rows_since_us = 0
        """Rows from before this were deleted on purpose: what the spool has of them does not come back."""

    async def adopt(self, *, parked: bool = False) -> None:
        """Replay every segment whose process is dead, and with `parked` try those again that could not be read.

        Raises OSError if the folder cannot be used.
        """
        orphans = await asyncio.to_thread(list, adopt_orphans(self._folder, parked=parked))
        self.counters.segments = len(orphans)
        try:
            for _, group in groupby(orphans, key=lambda orphan: owner_of(orphan.path)):
                await self._adopt(list(group))
        finally:
            self.counters.segments = 0
            for orphan in orphans:
                orphan.close()

    async def _adopt(self, orphans: Sequence[SegmentFile]) -> None:
        open_requests: dict[str, Started] = {}
        suffixes: list[tuple[SegmentFile, str]] = []
        for orphan in orphans:
            async with self._background.step():
                segment = await self._read(orphan.path)
            if segment is not None:
                unread = await self._apply(segment.records, open_requests, starts=True)
                suffixes.append((orphan, PARKED if unread else DONE))
        await self._end_interrupted(open_requests.values())
        for orphan, suffix in suffixes:
            await asyncio.to_thread(orphan.retire, suffix)

    async def rebuild(self) -> bool:
        """Replay every segment there is, of living processes too: the database was lost. False if there is none.

        Raises OSError if the folder cannot be read.
        """
        paths = await asyncio.to_thread(segments, self._folder, DONE, LIVE, PARKED)
        self.counters.segments = len(paths)
        try:
            for _, group in groupby(paths, key=owner_of):
                await self._rebuild_from(group)
        finally:
            self.counters.segments = 0
        return bool(paths)

    async def _rebuild_from(self, paths: Iterable[Path]) -> None:
        open_requests: dict[str, Started] = {}
        for path in paths:
            async with self._background.step():
                segment = await self._read(path)
            if segment is None:
                continue
            # What has begun in a living process, or in an orphan, is not known to have ended badly yet.
            await self._apply(segment.records, open_requests, starts=path.suffix == DONE)
        await self._end_interrupted(open_requests.values())

    async def reread(self, paths: Iterable[Path], wanted: set[str]) -> list[str]:
        """Write the rows of these ids from these segments, without a rest; returns the ids that were found."""
        found: dict[str, None] = {}
        for path in paths:
            segment = await self._read(path)
            entries = [] if segment is None else _decoded(segment.records)
            entries = [entry for entry in entries if entry.id in wanted and entry.id not in found]
            for start in range(0, len(entries), ROWS_AT_ONCE):
                await self._write(entries[start : start + ROWS_AT_ONCE])
            found |= dict.fromkeys(entry.id for entry in entries)
        return list(found)

    async def _read(self, path: Path) -> Segment | None:
        try:
            segment = await apart(lambda: read_segment(path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            self.counters.failed += 1
            _log.error("segment %s of the spool cannot be read and stays where it is: %s", path.name, error)
            return None
        self.counters.damaged += segment.damaged
        self.counters.torn += segment.torn
        return segment

    async def _apply(self, records: Sequence[Found], open_requests: dict[str, Started], *, starts: bool) -> int:
        """Write the rows of the ended requests; those begun and not ended stay in `open_requests`."""
        unread_before = self.counters.unread
        self.counters.left += len(records)
        for start in range(0, len(records), RECORDS_AT_ONCE):
            some = records[start : start + RECORDS_AT_ONCE]
            async with self._background.step():
                entries: list[LedgerEntry] = []
                for number, record in enumerate(some, 1):
                    entry = self._ended(record, open_requests, starts=starts)
                    if entry is not None and entry.started_at_us >= self.rows_since_us:
                        entries.append(entry)
                    if number % DECODED_AT_ONCE == 0:
                        await asyncio.sleep(0)
                if entries:
                    await self._write(entries)
                self.counters.rows += len(entries)
                self.counters.left -= len(some)
        return self.counters.unread - unread_before

    def _ended(self, record: Found, open_requests: dict[str, Started], *, starts: bool) -> LedgerEntry | None:
        """The row of a record, if it is that of a request's end; its start is noted where these are."""
        try:
            if not record.known:
                raise msgspec.DecodeError("another version wrote it")
            if record.kind == END:
                entry = _read_entry(record.body)
                open_requests.pop(entry.id, None)
                return entry
            if starts:
                started = _read_started(record.body)
                open_requests[started.id] = started
        except _UNREADABLE:
            self.counters.unread += 1
        return None

    async def _end_interrupted(self, open_requests: Iterable[Started]) -> None:
        recent = (started for started in open_requests if started.started_at_us >= self.rows_since_us)
        while some := list(islice(recent, ROWS_AT_ONCE)):
            async with self._background.step():
                entries = [entry for entry in map(self._made, some) if entry is not None]
                await self._write(entries)
                self.counters.interrupted += len(entries)

    def _made(self, started: Started) -> LedgerEntry | None:
        try:
            return self._interrupted(started)
        except Exception:
            # One record that means nothing must not keep the others out of the ledger.
            _log.exception("no row could be made of what began as %s", started.id)
            self.counters.unread += 1
            return None


def _decoded(records: Iterable[Found]) -> list[LedgerEntry]:
    entries = []
    for record in records:
        if record.known and record.kind == END:
            try:
                entries.append(_read_entry(record.body))
            except _UNREADABLE:
                continue
    return entries
