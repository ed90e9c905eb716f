"""Work in the background goes at full speed while programs need little, at a small share while they need much."""

import asyncio
import sys
import time
from types import SimpleNamespace

import pytest

from app.ledger import background as module
from app.ledger.background import LATER, LEAST, LONGEST_REST_S, NEW_AFTER_S, PATIENT_S, Background
from app.ledger.polite import SWITCH_S

pytestmark = pytest.mark.anyio


class Machine:
    """A clock that moves only when somebody works or rests; all else in the process uses `busy` processors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, busy: float) -> None:
        self.busy = busy
        self.now_s = 1000.0
        self.used_s = 7.0
        self.rested_s = 0.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(Lock=asyncio.Lock, sleep=self._sleep))
        self.background = Background(lambda: self.used_s)

    async def _sleep(self, for_s: float) -> None:
        self.now_s += for_s
        self.rested_s += for_s
        self.used_s += for_s * self.busy

    async def work(self, for_s: float, steps: int = 1) -> float:
        """So many steps, each of so many seconds; returns how long was rested between them."""
        rested_s = self.rested_s
        for _ in range(steps):
            async with self.background.step():
                self.now_s += for_s
                self.used_s += for_s * (1 + self.busy)
        return self.rested_s - rested_s


async def test_while_little_is_to_do_rests_are_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, busy=0.2)
    assert await machine.work(0.01, steps=500) < 0.5


async def test_while_programs_need_the_process_steps_get_a_small_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, busy=0.8)
    await machine.work(0.01)
    rested_s = await machine.work(0.01, steps=50)
    assert 0.5 / (0.5 + rested_s) == pytest.approx(LEAST)


async def test_what_goes_on_for_long_gets_a_larger_share(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, busy=0.8)
    began_s = machine.now_s
    while machine.now_s < began_s + PATIENT_S:
        await machine.work(0.01)
    rested_s = await machine.work(0.01, steps=100)
    assert 1 / (1 + rested_s) == pytest.approx(LATER)
    # What comes much later is a matter of its own.
    machine.now_s += NEW_AFTER_S + 1
    await machine.work(0.01)
    rested_s = await machine.work(0.01, steps=50)
    assert 0.5 / (0.5 + rested_s) == pytest.approx(LEAST)


async def test_traffic_that_comes_and_goes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, busy=0.0)
    await machine.work(0.01, steps=100)
    machine.busy = 0.9
    # The first rests still know no better.
    await machine.work(0.01, steps=50)
    rested_s = await machine.work(0.01, steps=10)
    assert 0.1 / (0.1 + rested_s) == pytest.approx(LEAST)
    machine.busy = 0.0
    await machine.work(0.01, steps=10)
    assert await machine.work(0.01, steps=100) < 0.2


async def test_between_much_and_little_the_share_is_between(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, busy=0.375)
    await machine.work(0.01, steps=20)
    rested_s = await machine.work(0.01, steps=100)
    assert 1 / (1 + rested_s) == pytest.approx(0.5, rel=0.1)


async def test_a_step_that_stood_still_is_not_rested_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, busy=1.0)
    await machine.work(0.01)
    assert await machine.work(600.0) == pytest.approx(LONGEST_REST_S)


async def test_steps_of_two_works_do_not_meet_and_are_polite() -> None:
    background = Background()
    usual_s = sys.getswitchinterval()
    under_way, seen = [], []

    async def work(name: str) -> None:
        for _ in range(5):
            async with background.step():
                under_way.append(name)
                await asyncio.sleep(0.001)
                seen.append((list(under_way), sys.getswitchinterval()))
                under_way.remove(name)

    await asyncio.gather(work("a"), work("b"))
    assert {len(names) for names, _ in seen} == {1}
    assert {names[0] for names, _ in seen} == {"a", "b"}
    assert [switch_s for _, switch_s in seen] == pytest.approx([SWITCH_S] * 10)
    assert sys.getswitchinterval() == pytest.approx(usual_s)


async def test_a_step_that_fails_leaves_the_way_free() -> None:
    background = Background()
    with pytest.raises(ZeroDivisionError):
        async with background.step():
            raise ZeroDivisionError
    async with asyncio.timeout(5), background.step():
        pass


async def test_a_process_that_has_nothing_else_to_do_is_not_held_up() -> None:
    background = Background()
    began = time.monotonic()
    for _ in range(100):
        async with background.step():
            await asyncio.sleep(0.002)
    # 100 times 2 ms, and without a share that is full, 25 more for each.
    assert time.monotonic() - began < 2.0
