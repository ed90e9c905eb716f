"""Rows whose columns do not explain their bill: read once, cut into pieces, and still exact to the pico-dollar."""

import json
import random
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Override
from app.domain import LedgerEntry
from app.ledger.clock import DAY_US
from app.ledger.database import Database
from app.ledger.insert import insert_many
from app.metering.cost import cost_of
from app.metering.repricing import usage_of
from app.operations.advice import AdviceEngine
from app.recommendation.savings import Saving
from app.recommendation.traffic import fits
from tests.operations.conftest import Clock
from tests.operations.team import NOW_US, row

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 22)
ROWS = 400


def _odd_rows(rng: random.Random, catalog: Catalog) -> list[LedgerEntry]:
    """Anthropic's oddities: a region with a price of its own, searches, passes of other models, hours of cache."""
    rows = []
    for number in range(ROWS):
        at_us = NOW_US - rng.randrange(8 * DAY_US)
        entry = row(at_us, "claude-opus-4-6", rng.randint(1001, 250_000), rng.randint(1, 90_000), written=700)
        told = json.loads(entry.usage_json or "{}")
        kind = number % 6
        if kind == 1:
            told["inference_geo"] = "us"
        elif kind == 2:
            told["server_tool_use"] = {"web_search_requests": rng.randint(1, 4)}
        elif kind == 3:
            extra = {"type": "compaction", "input_tokens": rng.randint(1, 300_000), "output_tokens": 900}
            told["iterations"] = [extra, {"type": "message", "input_tokens": 10, "output_tokens": 1}]
        elif kind == 4:
            told["cache_creation"] = {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400}
        entry.usage_json = json.dumps(told)
        usage = usage_of(entry)
        assert usage is not None
        entry.cache_write_5m_input_tokens = usage.cache_write_5m_input_tokens
        entry.cache_write_1h_input_tokens = usage.cache_write_1h_input_tokens
        entry.cost_picousd = _cost(catalog, entry, "claude-opus-4-6")
        entry.price_entry = "genai-prices:anthropic/claude-opus-4-6@always"
        rows.append(entry)
    return rows


def _cost(catalog: Catalog, entry: LedgerEntry, model: str) -> int | None:
    usage = usage_of(entry)
    assert usage is not None
    cost = cost_of(
        catalog, usage, provider="anthropic", response_model=model, request_model=None, service_tier=None, on=TODAY
    )
    return cost.picousd


def _one_by_one(catalog: Catalog, rows: Sequence[LedgerEntry], target: str) -> tuple[int, int, int]:
    """(current, candidate, how many moved), every row by itself as metering prices it."""
    model = catalog.find(target, "anthropic")
    assert model is not None
    current = candidate = moved = 0
    for entry in rows:
        usage = usage_of(entry)
        assert usage is not None
        own = _cost(catalog, entry, "claude-opus-4-6") or 0
        able = fits(model.capabilities, usage.total_input_tokens + usage.output_tokens, usage.output_tokens)
        other = _cost(catalog, entry, target) if able else None
        current += own
        candidate += own if other is None else other
        moved += other is not None
    return current, candidate, moved


async def _saving(database: Database, catalog: Catalog, clock: Clock, target: str) -> Saving:
    engine = AdviceEngine(database, CatalogHolder(catalog), clock)
    [advice] = (await engine.report()).advice
    verdict = await engine.what_if(advice.group_id, target)
    assert verdict.saving is not None
    return verdict.saving


@pytest.mark.parametrize("target", ["claude-opus-5-5", "claude-haiku-5-5", "claude-opus-4-5", "claude-haiku-4-5"])
async def test_odd_rows_cost_what_metering_says_of_each(
    database: Database, shipped: Catalog, clock: Clock, target: str
) -> None:
    rows = _odd_rows(random.Random(target), shipped)
    await insert_many(database, rows)
    found = await _saving(database, shipped, clock, target)
    current, candidate, moved = _one_by_one(shipped, rows, target)
    assert (found.current_picousd, found.candidate_picousd) == (current, candidate)
    assert (found.moved, found.kept) == (moved, ROWS - moved)
    assert moved > 0


async def test_a_rate_that_is_no_whole_pico_dollar_is_rounded_row_by_row(
    database: Database, shipped: Catalog, clock: Clock
) -> None:
    odd = {"input_mtok": Decimal("0.12345678"), "output_mtok": Decimal("0.5000005"), "cache_read_mtok": Decimal("0.03")}
    override = Override(1, "price", "anthropic", "claude-haiku-5-5", rates=odd)
    catalog = shipped.with_overrides([override])
    rows = _odd_rows(random.Random(9), catalog)
    await insert_many(database, rows)
    found = await _saving(database, catalog, clock, "claude-haiku-5-5")
    current, candidate, moved = _one_by_one(catalog, rows, "claude-haiku-5-5")
    assert (found.current_picousd, found.candidate_picousd, found.moved) == (current, candidate, moved)


async def test_rows_are_read_once_for_all_targets_and_only_days_that_change_again(
    database: Database, shipped: Catalog, clock: Clock
) -> None:
    rows = _odd_rows(random.Random(4), shipped)
    await insert_many(database, rows)
    engine = AdviceEngine(database, CatalogHolder(shipped), clock)
    [advice] = (await engine.report()).advice
    for target in ("claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5-5"):
        await engine.what_if(advice.group_id, target)
    assert engine._memo.rows_read == ROWS
    one = row(NOW_US - 1, "claude-opus-4-6", 2000, 10, price_entry=rows[0].price_entry)
    one.cost_picousd = _cost(shipped, one, "claude-opus-4-6")
    await insert_many(database, [one])
    clock.now_us += 3_600_000_000
    [again] = (await engine.report()).advice
    assert again.group.requests == ROWS + 1
    today = sum(entry.started_at_us >= NOW_US // DAY_US * DAY_US for entry in rows) + 1
    assert engine._memo.rows_read == ROWS + today
