"""Old rows go, their daily sums stay, and nothing that reads both is led astray."""

import asyncio
import random
from datetime import date

import msgspec
import pytest

from app.counters import Counters
from app.domain import LedgerEntry
from app.ledger import care as care_module
from app.ledger.calendar_build import rebuild_rollup
from app.ledger.care import Caretaker
from app.ledger.clock import DAY_US, now_us
from app.ledger.database import Database
from app.ledger.insert import insert_many
from app.ledger.journal import Journal
from app.ledger.reports import RequestFilter, count_requests, list_requests, stream_requests, usage_by
from app.ledger.retention import DELETED_AT_ONCE, delete_some, oldest_kept_us
from app.ledger.setting_aside import SetAside
from app.ledger.spool_format import END, START, frame
from app.ledger.team import TeamStore
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import DAY0, T0, realistic
from tests.ledger.test_journal import begun, ended, interrupted, leave, until

pytestmark = [pytest.mark.anyio, pytest.mark.any_database(long=True)]

DAYS = 10
PER_DAY = 150
KEPT_FROM = T0 + 6 * DAY_US


def made() -> list[LedgerEntry]:
    rng = random.Random(5)
    return [realistic(T0 + number * (DAY_US // PER_DAY), rng) for number in range(DAYS * PER_DAY)]


async def trimmed(database: Database) -> None:
    """Ten days of rows of which the last four are kept."""
    await insert_many(database, made())
    while await delete_some(database, KEPT_FROM):
        pass


async def usage(database: Database, zone: str = "UTC") -> tuple[int, int, int]:
    total = (await usage_by(database, "model", since=None, until=None, zone=zone)).total
    return total.requests, total.cost_picousd or 0, total.input_tokens


async def test_rows_go_a_few_at_a_time_and_sums_stay(database: Database) -> None:
    await insert_many(database, made())
    before = await usage(database)
    assert await delete_some(database, KEPT_FROM) == DELETED_AT_ONCE
    assert await delete_some(database, KEPT_FROM) == 6 * PER_DAY - DELETED_AT_ONCE
    assert await delete_some(database, KEPT_FROM) == 0
    assert await usage(database) == before
    assert await verify_rollup(database) == []
    by_day = await usage_by(database, "day", since=date(1970, 1, 1).fromordinal(DAY0 + 719_163), until=None, zone="UTC")
    assert len(by_day.rows) == DAYS


@pytest.mark.parametrize("sort", ["time", "cost", "duration"])
@pytest.mark.parametrize("descending", [True, False])
async def test_lists_and_counts_hold_what_is_kept(database: Database, sort: str, descending: bool) -> None:
    await trimmed(database)
    kept = {entry.id for entry in made() if entry.started_at_us >= KEPT_FROM}
    for wanted in (RequestFilter(), RequestFilter(provider="openai"), RequestFilter(since_us=T0)):
        found: list[LedgerEntry] = []
        after = None
        while True:
            page = await list_requests(database, wanted, limit=90, after=after, sort=sort, descending=descending)
            found += page.entries
            after = page.next
            if after is None:
                break
        assert len(found) == len({entry.id for entry in found}) == await count_requests(database, wanted)
        assert {entry.id for entry in found} <= kept
    streamed = [entry.id async for chunk in stream_requests(database, RequestFilter()) for entry in chunk]
    assert set(streamed) == kept


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
async def test_a_new_zone_takes_the_sums_of_deleted_days_over(database: Database, zone: str) -> None:
    await trimmed(database)
    before = await usage(database)
    team = TeamStore(database)
    await team.load()
    await team.set("reporting_zone", zone)
    assert await usage(database, zone) == before
    assert await verify_rollup(database) == []
    await rebuild_rollup(database)
    assert await usage(database, zone) == await usage(database) == before
    assert await verify_rollup(database) == []


async def test_what_the_spool_has_of_deleted_rows_does_not_come_back(database: Database, settings: Settings) -> None:
    await trimmed(database)
    before = await usage(database)
    rows = made()
    old, new = rows[0], rows[-1]
    unended = rows[1]
    folder = settings.data_dir / "spool"
    leave(folder, begun(old), ended(old), begun(unended), ended(new), frame(START, b"\xc1"), frame(END, b"\xc1"))
    writer = LedgerWriter(database, journal=Journal(folder, database, interrupted, tend_s=0.02))
    writer.start()
    await until(lambda: writer.counters.spool_unread == 2)
    await asyncio.sleep(0.1)
    await writer.stop()
    assert await usage(database) == before
    assert await verify_rollup(database) == []


async def test_the_caretaker_deletes_only_when_told_to(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TURN_S", "LOOK_EVERY_S", "FIRST_CHECK_S", "DELETE_EVERY_S", "PAUSE_S"):
        monkeypatch.setattr(care_module, name, 0.01)
    await insert_many(database, made())
    writer = LedgerWriter(database)
    days: int | None = None
    care = Caretaker(database, writer.write_again, Counters(), lambda: days)
    care.start()
    await asyncio.sleep(0.3)
    assert await count_requests(database, RequestFilter()) == DAYS * PER_DAY
    days = now_us() // DAY_US - KEPT_FROM // DAY_US
    async with asyncio.timeout(20):
        while await count_requests(database, RequestFilter()) != 4 * PER_DAY:
            await asyncio.sleep(0.02)
    await care.stop()
    assert await verify_rollup(database) == []


async def test_nothing_is_deleted_while_a_damaged_file_is_still_read(database: Database) -> None:
    """What is deleted then comes back when the file is read once more, and its sums are there already."""
    await insert_many(database, made())
    days = now_us() // DAY_US - KEPT_FROM // DAY_US
    care = Caretaker(database, LedgerWriter(database).write_again, Counters(), lambda: days)
    report = SetAside(file="lectr.db.corrupt-1", at_us=T0, reason="test")
    care._figures = msgspec.structs.replace(care._figures, set_aside=(report,))
    await care._delete_old()
    assert await count_requests(database, RequestFilter()) == DAYS * PER_DAY
    care._figures = msgspec.structs.replace(care._figures, set_aside=(msgspec.structs.replace(report, searched=True),))
    await care._delete_old()
    assert await count_requests(database, RequestFilter()) == 4 * PER_DAY


async def test_nothing_is_deleted_while_a_calendar_is_built(database: Database) -> None:
    await insert_many(database, made())
    await database.write(
        lambda connection: connection.exec_driver_sql("UPDATE calendars SET built_from_day = 999999") and None
    )
    assert await delete_some(database, KEPT_FROM) == 0


def test_days_are_kept_whole() -> None:
    assert oldest_kept_us(T0 + 5 * DAY_US + 77, 3) == T0 + 2 * DAY_US
