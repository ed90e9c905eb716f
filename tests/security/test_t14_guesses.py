"""Threat 14: however many guesses come, from wherever they say, few are looked at, and the right password still works.

`make security` sends ten thousand to a process; here the clock is the test's own.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ledger.clock import now_us
from app.ledger.database import open_database
from app.ledger.users import UserStore
from app.settings import Settings
from tests.running import Lectr, data_settings, running
from tests.security.guesses import guess, sign_in

PASSWORD = "the right one, and long"
MINUTE_US = 61_000_000


class Clock:
    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return now_us() + self.ahead_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(tmp_path: Path, clock: Clock) -> Iterator[Lectr]:
    settings = data_settings(tmp_path)
    asyncio.run(_admin(settings))
    with running(settings, clock=clock) as lectr:
        yield lectr


async def _admin(settings: Settings) -> None:
    database = await open_database(settings)
    await UserStore(database).create("admin", PASSWORD, "admin")
    await database.close()


def test_t14_few_of_many_guesses_at_one_name_are_looked_at(door: Lectr, clock: Clock) -> None:
    statuses = asyncio.run(guess(door.port, 300))
    assert set(statuses) == {401, 429}
    assert statuses[401] <= 10
    assert asyncio.run(sign_in(door.port, "admin", PASSWORD)) == 429
    clock.ahead_us += MINUTE_US
    assert asyncio.run(sign_in(door.port, "admin", PASSWORD)) == 303


def test_t14_few_of_many_guesses_at_many_names_are_looked_at(door: Lectr, clock: Clock) -> None:
    # All at once: the count must not wait for anything between looking and counting.
    statuses = asyncio.run(guess(door.port, 200, name=None))
    assert set(statuses) == {401, 429}
    assert statuses[401] <= 20
    clock.ahead_us += MINUTE_US
    assert asyncio.run(sign_in(door.port, "admin", PASSWORD)) == 303
