"""What the spool says of one record and of itself."""

import msgspec

from app.ledger.confirmation import Confirmation
from app.ledger.spool_files import SegmentFile


class Record(Confirmation):
    """One record on its way; it is done once the kernel has it. `written` and `applied` never go back."""

    __slots__ = ("applied", "data", "id", "segment")

    def __init__(self, id: str, data: bytes) -> None:
        super().__init__()
        self.id = id
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
