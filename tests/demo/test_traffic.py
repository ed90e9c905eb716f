"""Sample traffic: believable, the same for the same seed, and each row's cost exact."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.demo.traffic import KEYS, sample_entries
from app.demo.workloads import WORKLOADS
from app.domain import PICOUSD_PER_USD, CostReason, LedgerEntry, Outcome, UsageSource
from app.ledger.clock import id_bytes, id_moment_us
from app.metering.cost import cost_of
from app.metering.usage import usage_from_json

NOW_US = 1_795_370_000_000_000
MONTH_US = 30 * 24 * 3_600_000_000
ROWS = 8_000


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Path(__file__).resolve().parents[2] / "registry")


@pytest.fixture(scope="module")
def entries(catalog: Catalog) -> list[LedgerEntry]:
    return list(sample_entries(catalog, ROWS, NOW_US))


def test_as_many_rows_as_asked_for_in_order_and_never_in_the_future(entries: list[LedgerEntry]) -> None:
    assert len(entries) == ROWS
    starts = [entry.started_at_us for entry in entries]
    assert starts == sorted(starts)
    assert NOW_US - MONTH_US - 3_600_000_000 <= starts[0] < starts[-1] <= NOW_US
    assert all(entry.started_at_us <= entry.finished_at_us <= NOW_US for entry in entries)
    assert all((entry.ttfb_ms or 0) <= entry.duration_ms for entry in entries)


@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
def test_small_numbers_come_out_exactly(catalog: Catalog, rows: int) -> None:
    assert len(list(sample_entries(catalog, rows, NOW_US))) == rows


def test_the_same_seed_gives_the_same_rows(catalog: Catalog) -> None:
    first, second, other = (list(sample_entries(catalog, 300, NOW_US, seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_ids_are_unique_version_7_and_of_their_millisecond(entries: list[LedgerEntry]) -> None:
    assert len({entry.id for entry in entries}) == ROWS
    for entry in entries:
        assert id_moment_us(id_bytes(entry.id)) == entry.started_at_us // 1000 * 1000
        assert (len(entry.id), entry.id[14]) == (36, "7")
        assert entry.id[19] in "89ab"


def test_every_cost_can_be_had_again_from_the_stored_usage(catalog: Catalog, entries: list[LedgerEntry]) -> None:
    checked = 0
    for entry in entries:
        if entry.usage_source is not UsageSource.PROVIDER or entry.usage_json is None or entry.provider is None:
            continue
        usage = usage_from_json(entry.provider, entry.endpoint, entry.usage_json)
        assert usage is not None
        cost = cost_of(
            catalog,
            usage,
            provider=entry.provider,
            response_model=entry.response_model,
            request_model=entry.request_model,
            service_tier=entry.service_tier,
            on=datetime.fromtimestamp(entry.started_at_us / 1e6, UTC).date(),
        )
        assert (cost.picousd, cost.price_entry) == (entry.cost_picousd, entry.price_entry)
        checked += 1
    assert checked > ROWS * 0.8


def test_one_cost_by_hand(entries: list[LedgerEntry]) -> None:
    # gpt-4o: 2.50, cached 1.25, output 10 dollars a million (models-and-prices.md section 2).
    entry = next(
        entry for entry in entries if entry.request_model == "gpt-4o" and (entry.cache_read_input_tokens or 0) > 0
    )
    dollars = (
        Decimal(entry.input_tokens or 0) * Decimal("2.50")
        + Decimal(entry.cache_read_input_tokens or 0) * Decimal("1.25")
        + Decimal(entry.output_tokens or 0) * 10
    ) / 1_000_000
    assert entry.cost_picousd == dollars * PICOUSD_PER_USD


def test_all_that_the_pages_can_show_is_there(entries: list[LedgerEntry]) -> None:
    assert {entry.provider for entry in entries} == {"openai", "anthropic", "groq", "gemini", "azure"}
    assert {entry.feature for entry in entries} == {"support-bot", "search", "report-writer", "code-review", None}
    assert {entry.task for entry in entries} == {
        "classification",
        "extraction",
        "summarisation",
        "generation",
        "reasoning",
        None,
    }
    assert {entry.key for entry in entries} == set(KEYS)
    assert {entry.streamed for entry in entries} == {True, False}
    assert {200, 400, 401, 404, 429, 500, 503, 504} <= {entry.status for entry in entries}
    assert {Outcome.OK, Outcome.PROVIDER_ERROR, Outcome.CLIENT_CLOSED, Outcome.REJECTED} <= {
        entry.outcome for entry in entries
    }
    flags = {flag for entry in entries for flag in entry.flags}
    assert {"override_ignored", "key_mismatch", "provider_unknown"} <= flags
    assert {"header", "key_default", "exact", "default"} <= {entry.detected_by for entry in entries}
    assert any(entry.cost_reason is CostReason.UNKNOWN_MODEL for entry in entries)
    assert any(entry.usage_source is UsageSource.ESTIMATED and entry.cost_picousd for entry in entries)
    assert any(entry.reasoning_tokens for entry in entries)
    assert any(entry.cache_write_5m_input_tokens for entry in entries)


def test_a_cost_or_a_reason_never_both_and_errors_are_free(entries: list[LedgerEntry]) -> None:
    for entry in entries:
        assert (entry.cost_picousd is None) == (entry.cost_reason is not None)
        if entry.status is not None and entry.status >= 300:
            assert (entry.cost_picousd, entry.billable) == (0, False)


def test_most_models_are_priced(entries: list[LedgerEntry]) -> None:
    unpriced = {entry.request_model for entry in entries if entry.cost_picousd is None}
    assert unpriced == {"groq/compound", "research-chat"}


def test_nights_and_weekends_are_quieter(entries: list[LedgerEntry]) -> None:
    shoppers = [entry for entry in entries if entry.feature == "support-bot"]
    moments = [datetime.fromtimestamp(entry.started_at_us / 1e6, UTC) for entry in shoppers]
    hours = Counter(moment.hour for moment in moments)
    assert hours[14] > 2 * hours[3]
    days = Counter(moment.date() for moment in moments)
    whole = [(day, count) for day, count in days.items() if day not in (moments[0].date(), moments[-1].date())]
    weekend = [count for day, count in whole if day.weekday() >= 5]
    workdays = [count for day, count in whole if day.weekday() < 5]
    assert sum(weekend) / len(weekend) < 0.9 * sum(workdays) / len(workdays)


def test_the_shares_add_up() -> None:
    assert sum(workload.weight for workload in WORKLOADS) == pytest.approx(100, abs=3)
