"""Threads that share the interpreter with the event loop, and let it go first."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
SWITCH_S = 0.0005
"""How long such a thread may keep the interpreter from the loop; Python's own 5 ms is felt by every request."""

_lock = threading.Lock()
_threads = 0
_usual_s = sys.getswitchinterval()


@contextmanager
def politely() -> Iterator[None]:
    """While any of these threads is at work, the interpreter changes hands ten times as often."""
    global _threads, _usual_s
    with _lock:
        if _threads == 0:
            _usual_s = sys.getswitchinterval()
            sys.setswitchinterval(SWITCH_S)
        _threads += 1
    try:
        yield
    finally:
        with _lock:
            _threads -= 1
            if _threads == 0:
                sys.setswitchinterval(_usual_s)


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns, worked out in such a thread: for what would hold up programs for more than a moment."""

    def run() -> T:
        with politely():
            return work()

    return await asyncio.to_thread(run)
