"""The disk of a machine that may lose its power at any moment: what it has for certain, and what it may have.

A file has what was in it when its last sync began. What was written since is in the kernel's hands alone: of each page
of 4 KiB the disk has one of the states it went through since then. A name belongs to its folder, and only a sync of
that folder brings it to the disk. A real file system keeps more than this, none may keep less.
"""

import os
import random
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.faults.power_loss_trace import Call

PAGE = 4096
SHARED_MEMORY = "-shm"
"""SQLite's file of shared memory: it is mapped, so no call tells what is in it, and nothing may depend on it."""


class Change(msgspec.Struct):
    """What one call did to one file: `data` was written at `at`, or its size became `at`. `last` = when it ended."""

    last: int
    at: int
    data: bytes | None = None
    grows_only: bool = False


class File:
    """What the disk has of one file, and the changes since."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.size = len(content)
        self.changes: list[Change] = []

    def sync(self, began: int) -> None:
        """All changes that had ended before the sync began are on the disk."""
        sure = [change for change in self.changes if change.last < began]
        self.changes = [change for change in self.changes if change.last >= began]
        self.size = _apply(self.content, self.size, sure)

    def remains(self, draw: random.Random | None) -> tuple[bytearray, int]:
        """Content and size after the power went: what was synced, and with `draw` any of the pages beyond that."""
        content = bytearray(self.content)
        return content, _apply(content, self.size, [] if draw is None else _some(self.changes, draw))


def _apply(content: bytearray, size: int, changes: Iterable[Change]) -> int:
    for change in changes:
        if change.data is not None:
            end = change.at + len(change.data)
            if len(content) < change.at:
                content.extend(bytes(change.at - len(content)))
            content[change.at : end] = change.data
            size = max(size, end)
        elif change.grows_only:
            size = max(size, change.at)
        else:
            del content[change.at :]
            size = change.at
    return size


def _some(changes: Iterable[Change], draw: random.Random) -> list[Change]:
    pieces: list[Change] = []
    for change in changes:
        if change.data is None:
            pieces.append(change)
            continue
        at, data = change.at, change.data
        while data:
            room = PAGE - at % PAGE
            pieces.append(Change(change.last, at, data[:room]))
            at, data = at + room, data[room:]
    kept: list[Change] = []
    counts: dict[int, int] = {}
    # Sizes are one page of their own: they come in their order, too.
    places = [-1 if piece.data is None else piece.at // PAGE for piece in pieces]
    most = {place: draw.randint(0, places.count(place)) for place in dict.fromkeys(places)}
    for piece, place in zip(pieces, places, strict=True):
        counts[place] = counts.get(place, 0) + 1
        if counts[place] <= most[place]:
            kept.append(piece)
    return kept


class Entry(msgspec.Struct):
    """One change of a folder: `name` now means `node`, or nothing; a rename also takes `gone` away."""

    last: int
    name: str
    node: "File | Folder | None"
    gone: str = ""


class Folder:
    """The names the disk has, and their changes since."""

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.latest: dict[str, File | Folder] = {}
        self.changes: list[Entry] = []

    def change(self, entry: Entry) -> None:
        """One more, which programs see at once."""
        self.changes.append(entry)
        _named(self.latest, entry)

    def sync(self, began: int) -> None:
        """All changes that had ended before the sync began are on the disk."""
        while self.changes and self.changes[0].last < began:
            _named(self.names, self.changes.pop(0))

    def remains(self, draw: random.Random | None) -> dict[str, "File | Folder"]:
        """The names after the power went."""
        names = dict(self.names)
        for entry in self.changes[: 0 if draw is None else draw.randint(0, len(self.changes))]:
            _named(names, entry)
        return names


def _named(names: dict[str, "File | Folder"], entry: Entry) -> None:
    names.pop(entry.gone, None)
    if entry.node is None:
        names.pop(entry.name, None)
    else:
        names[entry.name] = entry.node


class Disk:
    """One folder and all below it, from what is in it now and what is done to it."""

    def __init__(self, base: Path, seen_as: Path) -> None:
        """`base` is on the disk for certain; the calls know it as `seen_as`."""
        self._root = _read(base)
        self._seen_as = seen_as
        self._positions: dict[int, int] = {}

    def run(self, calls: Iterable[Call], until: float) -> None:
        """Do all calls that had begun by then: those that had not ended may be done or not, a sync then is none."""
        for call in calls:
            if call.began > until:
                continue
            if call.ended <= until or call.name not in ("fsync", "fdatasync"):
                self._do(call)

    def leave(self, target: Path, draw: random.Random | None) -> None:
        """Make the folder that is found when the power is back."""
        _write(self._root, target, draw)

    def _find(self, path: str) -> tuple[Folder, str]:
        *folders, name = Path(path).relative_to(self._seen_as).parts
        node = self._root
        for part in folders:
            below = node.latest[part]
            assert isinstance(below, Folder), path
            node = below
        return node, name

    def _node(self, path: str) -> "File | Folder":
        if Path(path) == self._seen_as:
            return self._root
        folder, name = self._find(path)
        return folder.latest[name]

    def _do(self, call: Call) -> None:
        if call.name == "openat":
            self._open(call)
        elif call.name in ("rename", "link"):
            self._move(call)
        elif call.name in ("unlink", "mkdir"):
            folder, name = self._find(call.path)
            folder.change(Entry(call.last, name, Folder() if call.name == "mkdir" else None))
        elif call.name in ("fsync", "fdatasync"):
            self._node(call.path).sync(call.first)
        elif call.name == "lseek":
            self._positions[call.descriptor] = call.result
        else:
            self._change(call)

    def _open(self, call: Call) -> None:
        self._positions[call.descriptor] = 0
        if Path(call.path) == self._seen_as:
            return
        folder, name = self._find(call.path)
        node = folder.latest.get(name)
        if node is None:
            assert "O_CREAT" in call.flags, call
            node = File()
            folder.change(Entry(call.last, name, node))
        elif isinstance(node, File):
            if "O_TRUNC" in call.flags:
                node.changes.append(Change(call.last, 0))
            assert "O_APPEND" not in call.flags, call

    def _move(self, call: Call) -> None:
        folder, name = self._find(call.path)
        target, new_name = self._find(call.other)
        assert folder is target, call
        gone = name if call.name == "rename" else ""
        folder.change(Entry(call.last, new_name, folder.latest[name], gone))

    def _change(self, call: Call) -> None:
        file = self._node(call.path)
        assert isinstance(file, File), call
        if call.name == "ftruncate":
            change = Change(call.last, call.numbers[0])
        elif call.name == "fallocate":
            mode, at, length = call.numbers
            assert mode == 0, call
            change = Change(call.last, at + length, grows_only=True)
        elif call.name == "pwrite64":
            change = Change(call.last, call.numbers[1], call.data)
        else:
            at = self._positions[call.descriptor]
            self._positions[call.descriptor] = at + call.result
            change = Change(call.last, at, call.data)
        file.changes.append(change)


def _read(path: Path) -> Folder:
    folder = Folder()
    for below in path.iterdir():
        node = _read(below) if below.is_dir() else File(below.read_bytes())
        folder.names[below.name] = folder.latest[below.name] = node
    return folder


def _write(folder: Folder, target: Path, draw: random.Random | None) -> None:
    target.mkdir(mode=0o700)
    for name, node in folder.remains(draw).items():
        if isinstance(node, Folder):
            _write(node, target / name, draw)
            continue
        content, size = node.remains(draw)
        if draw is not None and name.endswith(SHARED_MEMORY):
            content = bytearray(draw.randbytes(size))
        descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content[:size])
            file.truncate(size)
