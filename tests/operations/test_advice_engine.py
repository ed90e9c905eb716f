"""A report is kept ready, nobody waits for one longer than asked, and a fault is a fault."""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from app.catalog.catalog import Catalog, CatalogHolder
from app.errors import LedgerError
from app.ledger.advice_decisions import ACCEPT
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.operations import advice
from app.operations.advice import KEPT_US, AdviceEngine, AdviceReport
from app.operations.advice_desk import AdviceDesk
from app.settings import Settings
from tests.operations.conftest import Clock, Desk
from tests.operations.team import NOW_US, a_month, row
from tests.postgres import database_url

pytestmark = pytest.mark.anyio
PATIENCE_S = 60.0


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await anyio.sleep(0.02)


async def test_from_the_start_on_a_report_is_made_without_being_asked_for(
    desk_with: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "WARM_AFTER_S", 0.0)
    engine = (await desk_with(a_month(days=5))).engine
    engine.start()
    first, _ = engine.window()
    await until(lambda: first in engine._kept)
    assert (await engine.report_within(0)) is engine._kept[first][1]
    await engine.close()


async def test_rows_that_come_are_in_the_next_report_by_themselves(
    desk_with: Desk, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "WARM_AFTER_S", 0.0)
    monkeypatch.setattr(advice, "WARM_EVERY_S", 0.05)
    monkeypatch.setattr(advice, "IDLE_EVERY_S", 0.05)
    engine = (await desk_with(a_month(days=5))).engine
    engine.start()
    first, _ = engine.window()
    await until(lambda: first in engine._kept)
    before = engine._kept[first][1].seen.requests
    await insert_many(database, [row(NOW_US - 1, "gpt-4o", 400, 5)])
    clock.now_us += KEPT_US
    await until(lambda: engine._kept[first][1].seen.requests == before + 1)
    await engine.close()


async def test_whoever_does_not_want_to_wait_gets_nothing_or_what_was_there(desk_with: Desk, clock: Clock) -> None:
    engine = (await desk_with(a_month(days=5))).engine
    assert await engine.report_within(0) is None
    made = await engine.report()
    clock.now_us += 20 * KEPT_US
    assert await engine.report_within(0) is made
    first, _ = engine.window()
    await until(lambda: engine._kept[first][1] is not made)
    await engine.close()


async def test_a_minute_old_report_is_given_at_once_and_made_anew_meanwhile(desk_with: Desk, clock: Clock) -> None:
    engine = (await desk_with(a_month(days=5))).engine
    made = await engine.report()
    clock.now_us += KEPT_US
    assert await engine.report() is made
    first, _ = engine.window()
    await until(lambda: engine._kept[first][1] is not made)
    await engine.close()


async def test_a_ledger_that_cannot_be_read_is_an_error_for_everybody_who_asks(
    desk_with: Desk, database: Database
) -> None:
    engine = (await desk_with(a_month(days=5))).engine
    await database.write(lambda connection: connection.execute(sa.text("DROP TABLE advice_cells")) and None)
    with pytest.raises(LedgerError):
        await engine.report()
    with pytest.raises(LedgerError):
        await engine.report_within(PATIENCE_S)
    await engine.close()


async def test_two_processes_that_sum_up_the_same_days_at_once_agree(
    tmp_path: Path, shipped: Catalog, clock: Clock
) -> None:
    folder = tmp_path / "shared"
    settings = Settings(data_dir=folder, database_url=database_url(folder))
    boxes = [await open_database(settings) for _ in range(2)]
    await insert_many(boxes[0], a_month(days=5))
    engines = [AdviceEngine(box, CatalogHolder(shipped), clock) for box in boxes]
    found: list[AdviceReport] = []

    async def make(engine: AdviceEngine) -> None:
        found.append(await engine.report())

    async with anyio.create_task_group() as together:
        for engine in engines:
            together.start_soon(make, engine)
    assert found[0].headline == found[1].headline
    assert found[0].seen == found[1].seen
    assert found[0].seen.requests == 600
    for engine, box in zip(engines, boxes, strict=True):
        await engine.close()
        await box.close()


async def test_an_end_waits_for_no_report(desk_with: Desk) -> None:
    engine = (await desk_with(a_month(days=5))).engine
    assert await engine.report_within(0) is None
    assert engine._making
    await engine.close()
    assert not engine._making


async def test_what_accepts_have_brought_is_summed_up_with_the_report_and_not_for_every_page(
    desk_with: Desk, database: Database, shipped: Catalog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await desk_with(a_month())
    for one in (await desk.engine.report()).advice:
        if one.chosen is not None:
            await desk.decide(one.id, ACCEPT, "")
    looks = 0
    summed = AdviceDesk._realised

    async def counted(self: AdviceDesk, *arguments: object) -> object:
        nonlocal looks
        looks += 1
        return await summed(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(AdviceDesk, "_realised", counted)
    again = AdviceDesk(AdviceEngine(database, CatalogHolder(shipped), clock), database, CatalogHolder(shipped), clock)
    report = await again.engine.report()
    accepted = looks
    assert accepted == 2
    for _ in range(3):
        cards = await again.cards(report)
        assert sum(card.decided is not None for card in cards) == accepted
    assert looks == accepted
