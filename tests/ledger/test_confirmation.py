import asyncio
import time

import pytest

from app.errors import LedgerError
from app.ledger.confirmation import BoundedWait, Confirmation

pytestmark = pytest.mark.anyio

LIMIT_S = 0.5


class Misses:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> None:
        self.count += 1


async def test_awaiting_ends_with_it_and_raises_what_was_lost() -> None:
    kept, lost = Confirmation(), Confirmation()
    both = asyncio.gather(asyncio.ensure_future(kept), asyncio.ensure_future(lost), return_exceptions=True)
    await asyncio.sleep(0)
    assert not kept.done()
    kept.finish()
    lost.finish(LedgerError("full"))
    assert list(await both) == [None, lost.error]


async def test_only_the_first_end_counts_and_late_callbacks_are_called_at_once() -> None:
    seen: list[object] = []
    confirmation = Confirmation()
    confirmation.add_done_callback(seen.append)
    confirmation.finish()
    confirmation.finish(LedgerError("late"))
    confirmation.add_done_callback(seen.append)
    assert (seen, confirmation.error) == ([confirmation, confirmation], None)


async def test_what_is_done_is_not_waited_for() -> None:
    misses = Misses()
    wait = BoundedWait(LIMIT_S, misses.add).wait
    done = Confirmation()
    done.finish()
    began = time.perf_counter()
    await wait(done)
    await wait(None)
    assert time.perf_counter() - began < LIMIT_S
    assert misses.count == 0


async def test_many_wait_side_by_side_each_for_its_own() -> None:
    misses = Misses()
    wait = BoundedWait(5.0, misses.add).wait
    confirmations = [Confirmation() for _ in range(100)]
    waiting = [asyncio.ensure_future(wait(one)) for one in confirmations]
    await asyncio.sleep(0)
    for one in confirmations[::2]:
        one.finish()
    await asyncio.sleep(0.01)
    assert [task.done() for task in waiting] == [True, False] * 50
    for one in confirmations[1::2]:
        one.finish()
    await asyncio.gather(*waiting)
    assert misses.count == 0


async def test_after_a_miss_nobody_waits_until_that_one_is_done() -> None:
    misses = Misses()
    wait = BoundedWait(LIMIT_S, misses.add).wait
    stuck = [Confirmation() for _ in range(3)]
    began = time.perf_counter()
    await wait(stuck[0])
    assert time.perf_counter() - began >= LIMIT_S
    began = time.perf_counter()
    await wait(stuck[1])
    await wait(stuck[2])
    assert time.perf_counter() - began < LIMIT_S
    assert misses.count == 3
    stuck[1].finish()
    await wait(stuck[2])
    assert misses.count == 4
    stuck[0].finish()
    began = time.perf_counter()
    await wait(stuck[2])
    assert time.perf_counter() - began >= LIMIT_S


async def test_a_later_wait_lasts_its_own_time() -> None:
    misses = Misses()
    wait = BoundedWait(LIMIT_S, misses.add).wait
    first = asyncio.ensure_future(wait(quick := Confirmation()))
    await asyncio.sleep(LIMIT_S / 2)
    began = time.perf_counter()
    second = asyncio.ensure_future(wait(Confirmation()))
    quick.finish()
    await asyncio.gather(first, second)
    assert time.perf_counter() - began >= LIMIT_S
    assert misses.count == 1


async def test_a_cancelled_wait_leaves_the_others_alone() -> None:
    misses = Misses()
    wait = BoundedWait(5.0, misses.add).wait
    shared = Confirmation()
    leaving, staying = asyncio.ensure_future(wait(shared)), asyncio.ensure_future(wait(shared))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    shared.finish()
    await staying
    assert leaving.cancelled()
    assert misses.count == 0
