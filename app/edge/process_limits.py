"""What the kernel allows this process: descriptors as many as it may have, and no core dumps, which hold keys."""

import contextlib
import resource

_WANTED_FILES = 65536
_RESERVED_FILES = 64
"""For the database, the spool, the log and the listener, whatever clients do."""
_FILES_PER_CONNECTION = 2
"""The client's and the provider's."""


def raise_limits() -> None:
    """Raise the soft limit of open files towards the hard one; forbid core dumps. What the kernel refuses, stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    with contextlib.suppress(OSError, ValueError):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def connection_cap() -> int:
    """How many clients may be connected at once, so that there is a descriptor for each one's call upstream."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    return max(1, (files - _RESERVED_FILES) // _FILES_PER_CONNECTION)
