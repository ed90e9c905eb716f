"""Runs about the disk itself: strace makes the kernel answer EIO and ENOSPC to the gateway's own calls."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.faults.processes import Gateway
from tests.faults.runs import Run, under_load

# With -D the gateway stays our own child; without a filter each of its calls would cost two stops.
_STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,pwrite64")
_ERRORS = ("-e", "inject=fdatasync:error=EIO:when=5+9", "-e", "inject=pwrite64:error=ENOSPC:when=300+1009")


@contextlib.contextmanager
def nothing(_gateway: Gateway, _seconds: float) -> Iterator[None]:
    """No fault but what lasts from beginning to end."""
    yield


def disk_errors(folder: Path, *, seconds: float = 5.0, control: str | None = None) -> Run:
    """Every ninth sync of spool and database ends with EIO, every thousandth write with ENOSPC."""
    return under_load(folder, nothing, seconds=seconds, control=control, before=(*_STRACE, *_ERRORS, "--"))
