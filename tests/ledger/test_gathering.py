import asyncio
import time

import pytest

from app.ledger import gathering
from app.ledger.gathering import Gathering

pytestmark = pytest.mark.anyio

GATHER_S = 0.5


@pytest.fixture(autouse=True)
def _a_moment_that_a_busy_machine_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GATHER_S", GATHER_S)


async def test_rows_gather_for_a_moment_and_no_longer() -> None:
    rows = Gathering()
    began = time.perf_counter()
    await rows.pause()
    assert time.perf_counter() - began >= GATHER_S * 0.9


async def test_who_is_in_a_hurry_ends_the_gathering_once() -> None:
    rows = Gathering()
    rows.hurry()
    began = time.perf_counter()
    await rows.pause()
    assert time.perf_counter() - began < GATHER_S
    await rows.pause()
    assert time.perf_counter() - began >= GATHER_S * 0.9


async def test_a_reader_waits_for_the_rows_before_it_and_for_no_later_ones() -> None:
    rows = Gathering()
    first, second = (asyncio.ensure_future(rows.until_settled(number, 5.0)) for number in (3, 5))
    await asyncio.sleep(0)
    rows.settled(2)
    await asyncio.sleep(0.01)
    assert (first.done(), second.done()) == (False, False)
    rows.settled(4)
    await asyncio.wait_for(first, 1)
    assert not second.done()
    rows.settled(5)
    await asyncio.wait_for(second, 1)


async def test_a_reader_does_not_wait_for_longer_than_it_said() -> None:
    began = time.perf_counter()
    await Gathering().until_settled(1, 0.05)
    assert 0.05 <= time.perf_counter() - began < 1.0
