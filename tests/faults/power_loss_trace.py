"""Lectr's calls to the file system as strace has written them down, in the order in which they ended.

strace sees a call end before the program does. So when a client has its answer, every sync the answer waited for is in
the log already, with an earlier time: by the log alone it can be told what the disk had at any moment.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_CALLS = (
    *("openat", "open", "creat", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek", "ftruncate"),
    *("truncate", "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir"),
    *("mkdirat", "rmdir", "fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "copy_file_range", "msync"),
    *("sendfile", "symlink", "symlinkat"),
)
_UNDERSTOOD = (
    *("openat", "write", "pwrite64", "lseek", "ftruncate", "fallocate", "rename", "link", "unlink", "mkdir"),
    *("fsync", "fdatasync"),
)
LONGEST = 4 * 1024 * 1024
"""Bytes of one write that strace writes down."""

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*?)(?: <(\d+\.\d+)>)?", re.DOTALL)
_FILE = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


class Call(msgspec.Struct):
    """One call that succeeded. `first` and `last` are its places in the log, `began` and `ended` seconds of the clock.

    `path` is the file's at that time; `other` the new name of a rename, or what a descriptor of 0 and more belongs to.
    """

    name: str
    first: int
    last: int
    began: float
    ended: float
    path: str
    other: str = ""
    flags: str = ""
    descriptor: int = -1
    numbers: tuple[int, ...] = ()
    result: int = 0
    data: bytes = b""


def strace(log: Path) -> tuple[str, ...]:
    """The words in front of a program whose calls are to be written down."""
    wanted = f"trace={','.join(_CALLS)}"
    marks = ("-D", "-f", "--seccomp-bpf", "-q", "-y", "-xx", "-ttt", "-T", "-s", str(LONGEST))
    return ("strace", *marks, "-o", str(log), "-e", wanted, "--")


def read_calls(log: Path, folder: Path) -> list[Call]:
    """All calls that changed or synced something in `folder`, in the order in which they ended.

    Raises ValueError for one that is not understood: nothing may be left out.
    """
    under = f"{folder}/"
    calls = [
        call
        for call in _calls(log)
        if any(name == str(folder) or name.startswith(under) for name in (call.path, call.other))
    ]
    for call in calls:
        if call.name not in _UNDERSTOOD:
            raise ValueError(f"{call.name} of {call.path} is a call that the disk does not know")
    calls.sort(key=lambda call: call.last)
    return calls


def _calls(log: Path) -> Iterator[Call]:
    begun: dict[str, tuple[int, float, str]] = {}
    with log.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            found = _LINE.fullmatch(line.rstrip("\n"))
            if found is None:
                raise ValueError(f"line {number} of the trace: {line[:200]}")
            thread, moment, text = found[1], float(found[2]), found[3]
            if text.startswith(("+++", "---")):
                continue
            resumed = _RESUMED.fullmatch(text)
            if resumed is not None:
                first, began, start = begun.pop(thread)
                yield from _call(first, number, began, moment, start + resumed[2])
            elif text.endswith(_UNFINISHED):
                begun[thread] = number, moment, text.removesuffix(_UNFINISHED)
            else:
                yield from _call(number, number, moment, None, text)


def _call(first: int, last: int, began: float, ended: float | None, text: str) -> Iterator[Call]:
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise ValueError(f"line {last} of the trace: {text[:200]}")
    name, said, result = found[1], found[2], found[3]
    if result == "?" or int(result) < 0:
        return
    if ended is None:
        ended = began + float(found[5] or 0)
    files, texts = list(_FILE.finditer(said)), list(_TEXT.finditer(said))
    if any(one[2] for one in texts):
        raise ValueError(f"line {last} of the trace holds only the beginning of a write")
    call = Call(name=name, first=first, last=last, began=began, ended=ended, path="", result=int(result))
    writes = name in ("write", "writev", "pwrite64", "pwritev", "pwritev2")
    if files and name not in ("openat", "mkdirat", "unlinkat", "renameat", "renameat2", "linkat"):
        if files[0][3]:
            # Nobody will find again what goes into a file that has no name.
            return
        call.descriptor, call.path = int(files[0][1]), _decoded(files[0][2]).decode()
        if len(files) > 1:
            call.other = _decoded(files[1][2]).decode()
    elif texts:
        names = [_decoded(one[1]).decode() for one in texts]
        call.path, call.other = names[0], names[1] if len(names) > 1 else ""
    rest = _TEXT.sub("", _FILE.sub("", said))
    call.flags = rest if name == "openat" else ""
    if name == "openat":
        opened = _FILE.match(result + found[4])
        call.descriptor = int(result)
        # A relative name, too, is told in full by what was opened.
        call.path = _decoded(opened[2]).decode() if opened else call.path
    else:
        call.numbers = tuple(map(int, re.findall(r"-?\b\d+\b", rest)))
    if writes and texts:
        call.data = _decoded(texts[0][1])[: call.result]
    yield call


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
