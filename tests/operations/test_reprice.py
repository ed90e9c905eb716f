"""Reprice gives each row the price of its own day, and touches nothing that has no usage to be priced."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Override
from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.ledger.clock import DAY_US
from app.ledger.database import Database
from app.ledger.insert import insert_many
from app.ledger.reports import get_request, usage_by
from app.operations.reprice import Reprice
from tests.ledger.builders import T0, entry

pytestmark = pytest.mark.anyio
USAGE = '{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}'
RATES = {"input_mtok": Decimal(2), "output_mtok": Decimal(4)}
HOUSE = Override(1, "price", "openai", "gpt-house", None, RATES, None, "")
COST = 100 * 2_000_000 + 20 * 4_000_000


def house(at_us: int = T0, **changed: Any) -> LedgerEntry:
    values: dict[str, Any] = {
        "request_model": "gpt-house",
        "response_model": "gpt-house",
        "usage_json": USAGE,
        "cost_picousd": None,
        "cost_reason": CostReason.UNKNOWN_MODEL,
        "price_entry": None,
    }
    return entry(at_us, **(values | changed))


def repricer(database: Database, catalog: Catalog, *overrides: Override) -> Reprice:
    return Reprice(database, CatalogHolder(catalog.with_overrides(overrides)))


async def test_unpriced_rows_get_their_price_and_the_sums_follow(database: Database, shipped: Catalog) -> None:
    row, priced = house(), entry(T0 + 1000)
    await insert_many(database, [row, priced])
    report = await repricer(database, shipped, HOUSE).run(None, False, False)
    assert (report.looked_at, report.changed) == (1, 1)
    assert (report.cost_before_picousd, report.cost_after_picousd) == (0, COST)
    after = await get_request(database, row.id)
    assert (after.cost_picousd, after.cost_reason, after.price_entry) == (
        COST,
        None,
        "team:1:openai/gpt-house@always",
    )
    assert (await get_request(database, priced.id)).cost_picousd == priced.cost_picousd
    total = (await usage_by(database, "day")).total
    assert total.cost_picousd == COST + (priced.cost_picousd or 0)
    assert total.unpriced_requests == 0


async def test_a_dry_run_says_it_and_changes_nothing(database: Database, shipped: Catalog) -> None:
    row = house()
    await insert_many(database, [row])
    report = await repricer(database, shipped, HOUSE).run(None, False, True)
    assert (report.changed, report.cost_after_picousd, report.dry_run) == (1, COST, True)
    assert (await get_request(database, row.id)).cost_picousd is None


async def test_a_row_has_the_price_of_its_own_day(database: Database, shipped: Catalog) -> None:
    later = datetime.fromtimestamp((T0 + DAY_US) / 1e6, UTC).date()
    dearer = Override(
        2, "price", "openai", "gpt-house", None, {name: 3 * rate for name, rate in RATES.items()}, later, ""
    )
    before, after = house(T0), house(T0 + DAY_US)
    await insert_many(database, [before, after])
    await repricer(database, shipped, HOUSE, dearer).run(None, False, False)
    assert (await get_request(database, before.id)).cost_picousd == COST
    assert (await get_request(database, after.id)).cost_picousd == 3 * COST


async def test_since_and_all_choose_the_rows(database: Database, shipped: Catalog) -> None:
    old = house(T0, cost_picousd=1, cost_reason=None)
    new = house(T0 + DAY_US, cost_picousd=1, cost_reason=None)
    await insert_many(database, [old, new])
    reprice = repricer(database, shipped, HOUSE)
    assert (await reprice.run(None, False, False)).changed == 0
    since = datetime.fromtimestamp((T0 + DAY_US) / 1e6, UTC)
    report = await reprice.run(since, True, False)
    assert (report.changed, report.cost_before_picousd, report.cost_after_picousd) == (1, 1, COST)
    assert (await get_request(database, old.id)).cost_picousd == 1
    assert (await get_request(database, new.id)).cost_picousd == COST


@pytest.mark.parametrize("reason", [CostReason.NO_USAGE, CostReason.ENCODED_BODY, CostReason.READER_FAILED])
async def test_what_has_no_usage_stays_unpriced(database: Database, shipped: Catalog, reason: CostReason) -> None:
    row = house(usage_json=None, usage_source=UsageSource.NONE, cost_reason=reason)
    await insert_many(database, [row])
    assert (await repricer(database, shipped, HOUSE).run(None, True, False)).changed == 0
    assert (await get_request(database, row.id)).cost_reason == reason


async def test_what_was_never_billed_stays_free(database: Database, shipped: Catalog) -> None:
    row = house(billable=False, status=429, outcome=Outcome.PROVIDER_ERROR, cost_picousd=0, cost_reason=None)
    await insert_many(database, [row])
    assert (await repricer(database, shipped, HOUSE).run(None, True, False)).looked_at == 0


async def test_an_estimate_is_priced_from_its_columns_and_stays_one(database: Database, shipped: Catalog) -> None:
    row = house(usage_json=None, usage_source=UsageSource.ESTIMATED, outcome=Outcome.CLIENT_CLOSED)
    await insert_many(database, [row])
    assert (await repricer(database, shipped, HOUSE).run(None, False, False)).changed == 1
    after = await get_request(database, row.id)
    assert (after.cost_picousd, after.usage_source) == (COST, UsageSource.ESTIMATED)


async def test_a_second_run_changes_nothing(database: Database, shipped: Catalog) -> None:
    await insert_many(database, [house(T0 + number) for number in range(20)])
    reprice = repricer(database, shipped, HOUSE)
    assert (await reprice.run(None, True, False)).changed > 0
    assert (await reprice.run(None, True, False)).changed == 0
