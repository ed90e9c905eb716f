import asyncio
import time

import pytest

from app.ledger.gathering import GATHER_S, Gathering

pytestmark = pytest.mark.anyio


async def test_rows_gather_for_a_moment_and_no_longer() -> None:
    gathering = Gathering()
    began = time.perf_counter()
    await gathering.pause()
    assert time.perf_counter() - began >= GATHER_S * 0.9


async def test_who_is_in_a_hurry_ends_the_gathering_once() -> None:
    gathering = Gathering()
    gathering.hurry()
    began = time.perf_counter()
    await gathering.pause()
    assert time.perf_counter() - began < GATHER_S / 2
    await gathering.pause()
    assert time.perf_counter() - began >= GATHER_S * 0.9


async def test_a_reader_waits_for_the_rows_before_it_and_for_no_later_ones() -> None:
    gathering = Gathering()
    first, second = (asyncio.ensure_future(gathering.until_settled(number, 5.0)) for number in (3, 5))
    await asyncio.sleep(0)
    gathering.settled(2)
    await asyncio.sleep(0.01)
    assert (first.done(), second.done()) == (False, False)
    gathering.settled(4)
    await asyncio.wait_for(first, 1)
    assert not second.done()
    gathering.settled(5)
    await asyncio.wait_for(second, 1)


async def test_a_reader_does_not_wait_for_longer_than_it_said() -> None:
    began = time.perf_counter()
    await Gathering().until_settled(1, 0.05)
    assert 0.05 <= time.perf_counter() - began < 1.0
