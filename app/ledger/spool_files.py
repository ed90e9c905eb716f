"""The files of the spool: who owns a segment, which are dead, which are done, and how long the done ones stay.

`BOOT-PID-TIME-NUMBER.seg` belongs to the process that holds its flock; without a holder it is an orphan, and whoever
locks it may replay it. `.done` = all its records are in the database; kept to rebuild a lost one. `.parked` = holds
records of a newer version; kept until a version comes that can read them.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

SEGMENT_BYTES = 8 * 1024 * 1024
KEPT_S = 24 * 3600.0
KEPT_BYTES = 1024**3
NEW, LIVE, DONE, PARKED = ".new", ".seg", ".done", ".parked"


def owner_name() -> str:
    """A name no other process has had: process ids come again, in a container after every start."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{boot.read_text().strip()[:8]}-{os.getpid()}-{time.time_ns() // 1000:x}"
    return f"noboot-{os.getpid()}-{time.time_ns() // 1000:x}"


class SegmentFile:
    """One segment that this process holds locked. `waiting` counts its records that are not in the database yet."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self.used = 0
        self.waiting = 0
        self.full = False
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, name: str, size: int = SEGMENT_BYTES) -> "SegmentFile":
        """Make a segment with its room set aside, so that a full disk cannot refuse what goes in. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / (name + NEW)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(descriptor, 0, size)
            # Only under its lock may it be seen under a name that others adopt.
            path = path.rename(folder / (name + LIVE))
            sync_folder(folder)
            # The folder's own name may be new too, or from a process that ended before it was on the disk.
            sync_folder(folder.parent)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return cls(path, descriptor, size)

    @classmethod
    def adopt(cls, path: Path) -> "SegmentFile | None":
        """Take over an orphan; None if its owner lives or somebody was faster. Raises OSError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here = os.fstat(descriptor)
            if os.path.samestat(here, path.stat()):
                return cls(path, descriptor, here.st_size)
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def has_room(self, length: int) -> bool:
        """True if so many bytes more fit."""
        return self.used + length <= self.size

    def write(self, data: bytes) -> None:
        """Append; whole in the kernel's hands when this returns. Raises OSError, also for half a write."""
        written = os.pwrite(self._descriptor, data, self.used)
        self.used += written
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written to {self.path.name}")

    def sync(self) -> None:
        """Bring what is written to the disk itself. Raises OSError."""
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)

    def read(self) -> bytes:
        """All bytes. Raises OSError."""
        return self.path.read_bytes()

    def retire(self, suffix: str = DONE) -> None:
        """Give the room behind the last record back, rename, and let go. Raises OSError."""
        try:
            if self.used:
                os.ftruncate(self._descriptor, self.used)
            os.utime(self._descriptor)
            self.path = self.path.rename(self.path.with_suffix(suffix))
        finally:
            self.close()

    def remove(self) -> None:
        """Delete the file and let go. Raises OSError."""
        try:
            self.path.unlink()
        finally:
            self.close()

    def close(self) -> None:
        """Let go; the file is an orphan then."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def sync_folder(folder: Path) -> None:
    """Bring names to the disk: a file whose name a power cut takes is gone, however well its content was synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments(folder: Path, *suffixes: str) -> list[Path]:
    """The segments with one of these suffixes, those of one owner together and in its order."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    except FileNotFoundError:
        return []


def owner_of(path: Path) -> str:
    """The part of a segment's name that all segments of one process share."""
    return path.name.rpartition("-")[0]


def adopt_orphans(folder: Path, *, parked: bool = False) -> Iterator[SegmentFile]:
    """Lock and give every segment whose owner is dead; clear away what was never finished. Raises OSError."""
    for path in segments(folder, NEW, LIVE, *((PARKED,) if parked else ())):
        orphan = SegmentFile.adopt(path)
        if orphan is None:
            continue
        if path.suffix == NEW:
            orphan.remove()
        else:
            yield orphan


def delete_expired(folder: Path, now_s: float, *, kept_s: float = KEPT_S, kept_bytes: int = KEPT_BYTES) -> int:
    """Delete done segments older than `kept_s` and the oldest beyond `kept_bytes`; returns how many. Raises OSError."""
    kept = []
    for path in segments(folder, DONE):
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            kept.append((stat.st_mtime, stat.st_size, path))
    kept.sort(reverse=True)
    room, deleted = kept_bytes, 0
    for modified, size, path in kept:
        room -= size
        if room < 0 or modified < now_s - kept_s:
            path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def reason(error: Exception) -> str:
    """What the disk said, without the path."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
