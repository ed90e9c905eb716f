"""The demo's team: its savings are worked out here from the providers' own usage objects and list prices alone."""

import json
from collections.abc import Sequence
from fractions import Fraction

import pytest

from app.catalog.catalog import Catalog
from app.demo.traffic import sample_entries
from app.domain import LedgerEntry, UsageSource
from app.ledger.clock import DAY_US
from app.recommendation.advice import Advice
from tests.operations.conftest import Desk
from tests.operations.team import NOW_US

pytestmark = pytest.mark.anyio
ROWS = 6000
FIRST_DAY_US = (NOW_US // DAY_US - 29) * DAY_US
"""Advice is about thirty whole days, today among them."""
# US dollars per million tokens on 2026-11-22 (models-and-prices.md section 2): input, cached, output; from a prompt
# size on, others.
LIST: dict[str, tuple[str, str, str]] = {
    "gpt-4o": ("2.5", "1.25", "10"),
    "gpt-4o-2024-08-06": ("2.5", "1.25", "10"),
    "gpt-4o-2024-11-20": ("2.5", "1.25", "10"),
    "gpt-4o-mini": ("0.15", "0.075", "0.6"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.6"),
    "gpt-6-luna": ("0.1", "0.01", "0.5"),
    "gpt-4.1-2025-04-14": ("2", "0.5", "8"),
    "gpt-6.1-terra": ("1", "0.05", "5"),
    "claude-haiku-4-5-20251001": ("1", "0.1", "5"),
    "claude-haiku-5-5": ("0.1", "0.01", "0.5"),
    "gemini-2.5-flash": ("0.3", "0.03", "2.5"),
    "gemini-2.5-flash-lite": ("0.1", "0.01", "0.4"),
    "openai/gpt-oss-120b": ("0.15", "0.075", "0.6"),
    "openai/gpt-oss-20b": ("0.075", "0.0375", "0.3"),
}
TEXT = ("chat.completions", "responses", "messages", "completions")


def parts(entry: LedgerEntry) -> tuple[int, int, int]:
    """Fresh input, cached input and output, read from the usage object as its provider documents it."""
    told = json.loads(entry.usage_json or "{}")
    if entry.provider == "anthropic":
        return told["input_tokens"], told["cache_read_input_tokens"], told["output_tokens"]
    cached = told.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    prompt, answer = told["prompt_tokens"], told["completion_tokens"]
    if entry.provider == "gemini":  # thinking shows in the total alone
        answer = told["total_tokens"] - prompt
    return prompt - cached, cached, answer


def costs(rows: Sequence[LedgerEntry], model: str | None) -> int:
    """Pico-dollars of all rows at one model's list price, None for that of the model that answered."""
    total = Fraction(0)
    for entry in rows:
        rates = [Fraction(rate) for rate in LIST[model or entry.response_model or ""]]
        total += sum(rate * count for rate, count in zip(rates, parts(entry), strict=True)) * 10**6
    assert total.denominator == 1
    return int(total)


def own(rows: Sequence[LedgerEntry], advice: Advice) -> list[LedgerEntry]:
    """The rows of a group, by what every row says of itself."""
    group = advice.group
    name = (group.provider, group.model, group.feature, group.task)
    return [
        entry
        for entry in rows
        if (entry.provider, entry.request_model, entry.feature, entry.task) == name
        and entry.usage_source is UsageSource.PROVIDER
        and entry.cost_picousd is not None
        and entry.billable
        and entry.started_at_us >= FIRST_DAY_US
        and entry.endpoint in TEXT
        and (sum(parts(entry)[:2]) > 1000) == group.long
    ]


async def test_the_demo_s_savings_are_those_of_an_independent_reckoning(shipped: Catalog, desk_with: Desk) -> None:
    rows = list(sample_entries(shipped, ROWS, NOW_US))
    report = await (await desk_with(rows)).engine.report()
    saved = compared = 0
    for advice in report.advice:
        if advice.chosen is None or advice.chosen.saving is None:
            continue
        mine, sums = own(rows, advice), advice.chosen.saving
        assert sums.requests == len(mine) > 0
        assert sums.current_picousd == costs(mine, None), advice.group.model
        assert sums.candidate_picousd == costs(mine, advice.chosen.target.id), advice.group.model
        saved += costs(mine, None) - costs(mine, advice.chosen.target.id) if advice.ranked else 0
        compared += 1
    assert compared >= 8
    assert report.headline.saved_picousd == saved > 0
