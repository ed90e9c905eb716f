"""What the spool says of one record and of itself."""

from collections import deque

import msgspec

from app.errors import LedgerError
from app.ledger.confirmation import Confirmation
from app.ledger.spool_files import SegmentFile
from app.ledger.spool_format import START

MAX_WRITE_BYTES = 1024 * 1024


class Record(Confirmation):
    """One record on its way; it is done once the kernel has it. `written` and `applied` never go back."""

    __slots__ = ("applied", "data", "id", "kind", "segment")

    def __init__(self, id: str, kind: int, data: bytes) -> None:
        super().__init__()
        self.id = id
        self.kind = kind
        self.data = data
        self.segment: SegmentFile | None = None
        self.applied = False

    @property
    def written(self) -> bool:
        """True once the record lies in a segment."""
        return self.segment is not None


class SpoolState(msgspec.Struct, frozen=True):
    """`requests` have records and no row in the database yet; `unwritten` records wait for the disk.

    `dropped` records had no room in memory while it failed; `error` is "" while it works.
    """

    requests: int
    unwritten: int
    dropped: int
    error: str


def let_go(live: dict[str, list[Record]], record: Record) -> None:
    """Forget a record that no segment has: an outage of disk and database together may last for days."""
    others = [other for other in live.pop(record.id, ()) if other is not record]
    if others:
        live[record.id] = others
    if record.kind == START:
        # The database confirms a row, but no note of a start: nobody would ever hear of it again.
        record.finish(LedgerError("memory is full, and the spool takes nothing"))


def take_group(waiting: deque[Record], segment: SegmentFile) -> list[Record]:
    """The records that one `write` takes, in order: as many as fit into the segment, and not much over 1 MiB."""
    group: list[Record] = []
    length = 0
    while waiting and length < MAX_WRITE_BYTES and segment.has_room(length + len(waiting[0].data)):
        record = waiting.popleft()
        group.append(record)
        length += len(record.data)
    return group
