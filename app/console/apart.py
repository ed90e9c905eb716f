"""Work that would hold up programs for more than a moment: in a thread that lets the event loop go first."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from app.ledger.polite import politely

T = TypeVar("T")


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns, worked out in a thread."""

    def run() -> T:
        with politely():
            return work()

    return await to_thread.run_sync(run)
