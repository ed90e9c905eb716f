"""The daily sums equal the rows, whatever the rows are."""

import asyncio
import random
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.ledger.calendar_build import rebuild_rollup
from app.ledger.clock import DAY_US, day_bounds_us, day_of, day_text
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.ledger.reports import GROUPINGS, RequestFilter, usage_by
from app.ledger.reprice import Repriced, apply_reprice
from app.ledger.tables import TOKEN_COLUMNS
from app.ledger.team import TeamStore
from app.ledger.verify import verify_rollup
from app.settings import Settings
from tests.ledger.builders import T0, entry, realistic, uuid7

ZONE = "America/Sao_Paulo"

labels = st.none() | st.sampled_from(["chat", "search", "ä", "x" * 150]) | st.text(max_size=5)
counts = st.none() | st.integers(0, 3000) | st.integers(2**31, 2**53)


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    at_us = T0 + draw(st.integers(0, 3 * DAY_US))
    cost = draw(st.none() | st.integers(0, 10**10) | st.integers(2**62, 2**63 - 1))
    return entry(
        at_us,
        id=uuid7(at_us, random.Random(draw(st.integers(0, 10**9)))),
        key=draw(st.sampled_from(["a", "b"])),
        provider=draw(st.sampled_from([None, "openai", "groq"])),
        request_model=draw(labels),
        feature=draw(labels),
        task=draw(labels),
        streamed=draw(st.booleans()),
        status=draw(st.sampled_from([None, 200, 201, 404, 429, 500])),
        outcome=draw(st.sampled_from(list(Outcome))),
        duration_ms=draw(st.integers(0, 400_000)),
        billable=draw(st.booleans()),
        cost_picousd=cost,
        cost_reason=CostReason.NO_USAGE if cost is None else None,
        usage_source=draw(st.sampled_from(list(UsageSource))),
        **{name: draw(counts) for name in TOKEN_COLUMNS},
    )


async def check_sums(database: Database, rows: list[LedgerEntry]) -> None:
    assert await verify_rollup(database) == []
    for by in GROUPINGS:
        for zone in ("UTC", ZONE):
            report = await usage_by(database, by, zone=zone)
            assert report.zone == zone
            total = report.total
            billable = [row for row in rows if row.billable]
            estimated = [row for row in rows if row.usage_source == UsageSource.ESTIMATED]
            assert total.requests == len(rows)
            assert total.billable_requests == len(billable)
            assert total.priced_requests == sum(row.cost_picousd is not None for row in billable)
            assert total.unpriced_requests == total.billable_requests - total.priced_requests
            assert total.cost_picousd == sum(row.cost_picousd or 0 for row in rows)
            assert total.estimated_requests == len(estimated)
            assert total.estimated_cost_picousd == sum(row.cost_picousd or 0 for row in estimated)
            assert sum(total.duration_histogram) == len(rows)
            for name in TOKEN_COLUMNS:
                assert getattr(total, name) == sum(getattr(row, name) or 0 for row in rows)
    per_day = Counter(day_text(day_of(row.started_at_us, ZONE)) for row in rows)
    report = await usage_by(database, "day", zone=ZONE)
    assert {row.group: row.requests for row in report.rows} == per_day
    # Two filters cannot be answered per facet value: the same numbers from the sums per group.
    both = await usage_by(database, "model", f=RequestFilter(key="a", streamed=True))
    chosen = [row for row in rows if row.key == "a" and row.streamed]
    assert both.total.cost_picousd == sum(row.cost_picousd or 0 for row in chosen)
    assert both.total.input_tokens == sum(row.input_tokens or 0 for row in chosen)
    assert both.total.errors == sum(
        row.status is None or row.status >= 400 or row.outcome != Outcome.OK for row in chosen
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(entries(), max_size=30), st.data())
def test_sums_equal_rows_after_any_writes_zone_changes_and_new_prices(
    rows: list[LedgerEntry], data: st.DataObject
) -> None:
    unique = list({row.id: row for row in rows}.values())
    half = data.draw(st.integers(0, len(unique)))
    repriced = data.draw(st.lists(st.sampled_from(unique), unique_by=lambda row: row.id)) if unique else []
    costs = [data.draw(st.none() | st.integers(0, 10**12)) for _ in repriced]

    async def scenario(folder: Path) -> None:
        database = await open_database(Settings(data_dir=folder))
        team = TeamStore(database)
        await insert_many(database, unique[:half])
        await team.set("reporting_zone", ZONE)
        await insert_many(database, unique)
        await check_sums(database, unique)
        changes = [
            Repriced(id=row.id, cost_picousd=cost, cost_reason=CostReason.UNKNOWN_MODEL, price_entry="p")
            for row, cost in zip(repriced, costs, strict=True)
        ]
        await apply_reprice(database, changes)
        for row, cost in zip(repriced, costs, strict=True):
            if row.billable:
                row.cost_picousd = cost
        await check_sums(database, unique)
        await rebuild_rollup(database)
        await check_sums(database, unique)
        await database.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE rollup SET requests = requests + 1",
        "UPDATE rollup SET cost_low = cost_low + 1",
        "UPDATE rollup SET duration_14 = duration_14 + 1",
        "UPDATE rollup SET cost_most = 0",
        "DELETE FROM rollup",
        "DELETE FROM requests",
        "UPDATE facet_sums SET input_tokens_low = input_tokens_low + 1 WHERE facet = 3",
        "DELETE FROM facet_sums WHERE facet = 1",
        "DELETE FROM groups",
    ],
)
async def test_a_wrong_sum_is_found(database: Database, damage: str) -> None:
    rng = random.Random(3)
    await insert_many(database, [realistic(T0 + number * 600_000_000, rng) for number in range(200)])
    assert await verify_rollup(database) == []
    sql = damage.replace("", "")
    await database.write(lambda connection: connection.exec_driver_sql(sql))
    found = await verify_rollup(database)
    assert found
    assert len(found) <= 50


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", ZONE, "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"])
def test_days_of_a_zone_follow_each_other_and_hold_their_moments(zone: str) -> None:
    info = UTC if zone == "UTC" else ZoneInfo(zone)
    for day in range(15_000, 15_800):
        start, end = day_bounds_us(day, zone)
        assert day_bounds_us(day + 1, zone)[0] == end
        if start == end:  # Samoa had no 30 December 2011.
            continue
        for at_us in (start, end - 1):
            assert day_of(at_us, zone) == day
            local = datetime.fromtimestamp(at_us // 1_000_000, info)
            assert local.date() == datetime(1970, 1, 1).date() + timedelta(days=day)
