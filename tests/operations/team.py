"""A made-up team whose rows are priced here by plain arithmetic on list prices, and by nothing of Lectr's."""

import json
import random
from fractions import Fraction
from typing import Any

from app.domain import LedgerEntry, Outcome, UsageSource
from app.ledger.clock import DAY_US
from tests.ledger.builders import uuid7

NOW_US = 20_779 * DAY_US + 17 * 3_600_000_000
"""2026-11-22, 17:00 UTC."""
# US dollars per million tokens on 2026-11-22 (models-and-prices.md section 2): input, cached, 5 m write, output.
LIST = {
    "gpt-4o": ("2.5", "1.25", None, "10"),
    "gpt-6-luna": ("0.1", "0.01", "0.125", "0.5"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "5"),
    "claude-haiku-5-5": ("0.1", "0.01", "0.125", "0.5"),
    "claude-opus-4-5": ("5", "0.5", "6.25", "25"),
    "claude-opus-4-6": ("5", "0.5", "6.25", "25"),
}


def cost(model: str, fresh: int, cached: int, written: int, out: int) -> int:
    """Pico-dollars of one request."""
    rates = [Fraction(rate or "0") for rate in LIST[model]]
    if model == "claude-haiku-5-5" and fresh + cached + written > 100_000:
        rates = [rate * 5 for rate in rates]
    if model == "gpt-6-luna" and fresh + cached + written > 272_000:
        rates = [*(rate * 2 for rate in rates[:3]), rates[3] * Fraction(3, 2)]
    total = sum(rate * count for rate, count in zip(rates, (fresh, cached, written, out), strict=True))
    return round(total * 10**6)


def row(
    at_us: int, model: str, fresh: int, out: int, *, cached: int = 0, written: int = 0, **changed: Any
) -> LedgerEntry:
    """One answered request with the usage object of its provider."""
    anthropic = model.startswith("claude")
    told: dict[str, Any] = (
        {
            "input_tokens": fresh,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written,
            "output_tokens": out,
        }
        if anthropic
        else {
            "prompt_tokens": fresh + cached,
            "completion_tokens": out,
            "total_tokens": fresh + cached + out,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
    )
    provider = "anthropic" if anthropic else "openai"
    values: dict[str, Any] = {
        "id": uuid7(at_us),
        "started_at_us": at_us,
        "finished_at_us": at_us + 900_000,
        "key": "backend",
        "provider": provider,
        "detected_by": "exact",
        "request_model": model,
        "response_model": model,
        "endpoint": "messages" if anthropic else "chat.completions",
        "status": 200,
        "outcome": Outcome.OK,
        "duration_ms": 900,
        "input_tokens": fresh,
        "cache_read_input_tokens": cached,
        "cache_write_5m_input_tokens": written,
        "cache_write_1h_input_tokens": 0,
        "output_tokens": out,
        "reasoning_tokens": 0,
        "usage_json": json.dumps(told),
        "usage_source": UsageSource.PROVIDER,
        "cost_picousd": cost(model, fresh, cached, written, out),
        "price_entry": f"genai-prices:{provider}/{model}@always",
        "feature": "support-bot",
        "task": "classification",
    }
    return LedgerEntry(**(values | changed))


def a_month(seed: int = 5, days: int = 20, per_day: int = 40, now_us: int = NOW_US) -> list[LedgerEntry]:
    """Three groups over `days` days up to now, every request of another size."""
    rng = random.Random(seed)
    rows = []
    for day in range(days):
        for _ in range(per_day):
            at_us = now_us - day * DAY_US - rng.randrange(3_600_000_000)
            rows.append(row(at_us, "gpt-4o", rng.randint(200, 700), rng.randint(1, 15), cached=rng.choice((0, 128))))
            long = {"cached": rng.randint(0, 60_000), "written": rng.randint(0, 30_000)}
            rows.append(row(at_us, "claude-haiku-4-5", rng.randint(1001, 40_000), rng.randint(50, 900), **long))
            sizes = rng.randint(100, 900), rng.randint(50, 900)
            rows.append(row(at_us, "claude-opus-4-5", *sizes, task="reasoning", feature="planner"))
    return rows
