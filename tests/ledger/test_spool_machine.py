"""Any order of appending, rotating, tearing, damaging and replaying: each whole record is found, in order."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.ledger.spool_files import DONE, LIVE, SegmentFile, adopt_orphans, segments
from app.ledger.spool_format import END, OVERHEAD_BYTES, frame, read_segment

SIZE = 1024


class SpoolMachine(RuleBasedStateMachine):
    """`expected` are the bodies that must be found in each segment; `damaged` how many records were spoilt there."""

    segment: SegmentFile

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.number = 0
        self.expected: dict[str, list[bytes]] = {}
        self.spoilt: dict[str, int] = {}
        self.rotate()

    def teardown(self) -> None:
        self.segment.close()
        shutil.rmtree(self.folder)

    @property
    def name(self) -> str:
        return self.segment.path.stem

    @rule()
    def rotate(self) -> None:
        if self.number:
            self.segment.close()
        self.number += 1
        self.segment = SegmentFile.create(self.folder, f"owner-{self.number:06d}", SIZE)
        self.expected[self.name], self.spoilt[self.name] = [], 0

    @rule(body=st.binary(max_size=200))
    def append(self, body: bytes) -> None:
        data = frame(END, body + b".")
        if not self.segment.has_room(len(data)):
            self.rotate()
        self.segment.write(data)
        self.expected[self.name].append(body + b".")

    @rule(body=st.binary(max_size=200), kept=st.integers(1, 400))
    def tear(self, body: bytes, kept: int) -> None:
        """The process dies in the middle of a write."""
        data = frame(END, body + b".")
        if self.segment.has_room(len(data)):
            self.segment.write(data[: min(kept, len(data) - 1)])
        self.rotate()

    @precondition(lambda self: len(self.expected[self.name]) >= 2)
    @rule(data=st.data(), change=st.integers(1, 255))
    def damage(self, data: st.DataObject, change: int) -> None:
        """A byte of a record that is not the last changes on the disk; then nothing more is written there."""
        bodies = self.expected[self.name]
        which = data.draw(st.integers(0, len(bodies) - 2))
        start = sum(len(body) + OVERHEAD_BYTES for body in bodies[:which])
        at = start + data.draw(st.integers(0, len(bodies[which]) + OVERHEAD_BYTES - 1))
        descriptor = os.open(self.segment.path, os.O_RDWR)
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, at)[0] ^ change]), at)
        os.close(descriptor)
        del bodies[which]
        self.spoilt[self.name] += 1
        self.rotate()

    @rule()
    def replay(self) -> None:
        """Whoever adopts orphans finds every one that is not done, and never the living segment."""
        waiting = {path.stem for path in segments(self.folder, LIVE)} - {self.name}
        adopted = list(adopt_orphans(self.folder))
        assert {orphan.path.stem for orphan in adopted} == waiting
        for orphan in adopted:
            orphan.retire(DONE)

    @invariant()
    def every_whole_record_is_found(self) -> None:
        found = {path.stem: read_segment(path.read_bytes()) for path in segments(self.folder, LIVE, DONE)}
        assert {name: [record.body for record in one.records] for name, one in found.items()} == self.expected
        assert {name: one.damaged for name, one in found.items()} == self.spoilt


SpoolMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("LECTR_SPOOL_EXAMPLES", "60")), stateful_step_count=25, deadline=None
)
TestSpoolMachine = SpoolMachine.TestCase
