"""Segments: private, laid out in advance, owned by one living process, and kept for a while when they are done."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from app.ledger.spool_files import (
    DONE,
    LIVE,
    NEW,
    PARKED,
    SegmentFile,
    adopt_orphans,
    delete_expired,
    owner_name,
    owner_of,
    segments,
)

SIZE = 4096


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_a_segment_is_private_and_has_its_room(folder: Path) -> None:
    segment = SegmentFile.create(folder, "a-1", SIZE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert segment.path.stat().st_blocks * 512 >= SIZE
    assert segment.path.name == "a-1.seg"
    segment.close()
    segment.close()


def test_a_segments_name_and_its_folders_are_brought_to_the_disk_before_it_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(path)
        if path == folder:
            assert [one.suffix for one in folder.iterdir()] == [LIVE]
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    SegmentFile.create(folder, "new-1", 4096).close()
    assert synced == [folder, folder.parent]


def test_only_a_dead_owners_segment_can_be_adopted(folder: Path) -> None:
    segment = SegmentFile.create(folder, "a-1", SIZE)
    assert list(adopt_orphans(folder)) == []
    segment.write(b"abc")
    segment.close()
    [orphan] = adopt_orphans(folder)
    assert orphan.read().rstrip(b"\0") == b"abc"
    assert list(adopt_orphans(folder)) == []
    orphan.retire()
    assert [path.name for path in segments(folder, DONE)] == ["a-1.done"]
    assert list(adopt_orphans(folder)) == []


def test_a_segment_that_was_renamed_before_the_lock_came_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SegmentFile.create(folder, "a-1", SIZE).close()
    path = folder / "a-1.seg"
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        path.rename(folder / "a-1.done")
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert SegmentFile.adopt(path) is None
    monkeypatch.undo()
    (folder / "a-1.done").rename(path)
    other = folder / "a-1.other"
    other.touch()

    def replaced(descriptor: int, how: int) -> None:
        other.replace(path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", replaced)
    assert SegmentFile.adopt(path) is None
    assert SegmentFile.adopt(folder / "nothing.seg") is None


def test_an_error_of_the_lock_comes_through_and_leaves_no_descriptor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SegmentFile.create(folder, "a-1", SIZE).close()

    def broken(descriptor: int, how: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Input/output"):
        SegmentFile.adopt(folder / "a-1.seg")
    with pytest.raises(OSError, match="Input/output"):
        SegmentFile.create(folder, "a-2", SIZE)
    assert len(os.listdir("/proc/self/fd")) == before
    assert segments(folder, NEW) == []


def test_what_was_never_finished_is_cleared_away(folder: Path) -> None:
    folder.mkdir()
    (folder / "a-1.new").write_bytes(b"")
    assert list(adopt_orphans(folder)) == []
    assert segments(folder, NEW, LIVE) == []


def test_parked_segments_are_tried_again_only_when_asked(folder: Path) -> None:
    SegmentFile.create(folder, "a-1", SIZE).retire(PARKED)
    assert list(adopt_orphans(folder)) == []
    [parked] = adopt_orphans(folder, parked=True)
    parked.close()


def test_a_done_segment_gives_back_the_room_behind_its_records(folder: Path) -> None:
    segment = SegmentFile.create(folder, "a-1", SIZE)
    segment.write(b"abc")
    segment.sync()
    segment.retire()
    segment.sync()
    assert segment.path.read_bytes() == b"abc"


def test_half_a_write_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = SegmentFile.create(folder, "a-1", SIZE)
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: 1)
    with pytest.raises(OSError, match="only 1 of 3 bytes"):
        segment.write(b"abc")
    assert segment.has_room(SIZE - 1)
    assert not segment.has_room(SIZE)
    segment.remove()
    assert segments(folder, LIVE) == []


def test_done_segments_stay_a_day_or_a_gibibyte(folder: Path) -> None:
    for number, age in enumerate((50.0, 40.0, 30.0, 20.0, 10.0)):
        segment = SegmentFile.create(folder, f"a-{number}", SIZE)
        segment.write(bytes(100))
        segment.retire()
        os.utime(segment.path, (1000 - age, 1000 - age))
    SegmentFile.create(folder, "b-1", SIZE).close()
    assert delete_expired(folder, 1000, kept_s=45, kept_bytes=10_000) == 1
    assert delete_expired(folder, 1000, kept_s=45, kept_bytes=250) == 2
    assert [path.name for path in segments(folder, DONE, LIVE)] == ["a-3.done", "a-4.done", "b-1.seg"]
    assert delete_expired(folder / "none", 1000) == 0


def test_names_tell_the_owner_and_never_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = owner_name(), owner_name()
    assert first != second
    assert owner_of(Path(f"/x/{first}-000003.seg")) == first

    def unreadable(path: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert owner_name().startswith("noboot-")
