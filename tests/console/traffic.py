"""Forty days of a made-up team's requests, priced by the real catalog: what the console's tests look at."""

import json
import random
from datetime import UTC, datetime
from typing import Any

from app.catalog.catalog import Catalog
from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.metering.cost import cost_of
from app.metering.recorded import usage_from_json
from tests.ledger.builders import uuid7

DAY_US = 86_400_000_000
HOSTILE = '"><script>alert(1)</script>'
_SHAPES = (
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "search", "classification", "exact"),
    ("openai", "gpt-4o", "gpt-4o-2024-08-06", "support-bot", None, "exact"),
    ("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", "invoices", "extraction", "exact"),
    ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b", "tagging", "classification", "exact"),
    ("gemini", "gemini-2.5-flash", "gemini-2.5-flash", None, None, "exact"),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", "nightly-report", "summarisation", "exact"),
    ("openai", "o9-preview", "o9-preview", "search", "reasoning", "prefix"),
)
_WEIGHTS = (30, 22, 14, 12, 9, 8, 3)


def forty_days(catalog: Catalog, now_us: int, *, requests: int = 900, seed: int = 3) -> list[LedgerEntry]:
    """Requests over the forty days before `now_us`, oldest first, some failed, some without a price, one hostile."""
    rng = random.Random(seed)
    moments = sorted(now_us - int(40 * DAY_US * rng.random()) for _ in range(requests))
    entries = [request_at(catalog, at_us, rng) for at_us in moments]
    entries[-5].request_model = entries[-5].feature = HOSTILE
    entries[-5].cost_picousd, entries[-5].cost_reason = None, CostReason.UNKNOWN_MODEL
    entries[-5].price_entry = None
    return entries


def request_at(catalog: Catalog, at_us: int, rng: random.Random) -> LedgerEntry:
    """One request of the team."""
    provider, asked, answered, feature, task, rule = rng.choices(_SHAPES, _WEIGHTS)[0]
    failed = rng.random() < 0.03
    messages = provider == "anthropic"
    duration = int(rng.lognormvariate(7, 0.7))
    values: dict[str, Any] = {
        "id": uuid7(at_us, rng),
        "started_at_us": at_us,
        "finished_at_us": at_us + duration * 1000,
        "key": rng.choice(("backend", "backend", "worker")),
        "provider": provider,
        "detected_by": rule,
        "request_model": asked,
        "endpoint": "messages" if messages else "chat.completions",
        "streamed": rng.random() < 0.5,
        "duration_ms": duration,
        "ttfb_ms": duration // 3,
        "overhead_us": rng.randint(180, 900),
        "feature": feature,
        "task": task,
        "prompt_bytes": rng.randint(200, 9000),
    }
    if failed:
        status = rng.choice((429, 500, None))
        outcome = Outcome.PROVIDER_ERROR if status else Outcome.UNREACHABLE
        return LedgerEntry(
            **values, status=status, outcome=outcome, billable=False, cost_picousd=0, error_code="rate_limit_exceeded"
        )
    entry = LedgerEntry(**values, status=200, outcome=Outcome.OK, response_model=answered)
    _bill(catalog, entry, _usage(rng, messages))
    return entry


def _usage(rng: random.Random, messages: bool) -> dict[str, Any]:
    prompt, answer, cached = rng.randint(60, 6000), rng.randint(5, 900), rng.choice((0, 0, 512, 1024))
    if messages:
        return {"input_tokens": prompt, "cache_read_input_tokens": cached, "output_tokens": answer}
    return {
        "prompt_tokens": prompt + cached,
        "completion_tokens": answer,
        "total_tokens": prompt + cached + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _bill(catalog: Catalog, entry: LedgerEntry, usage: dict[str, Any]) -> None:
    assert entry.provider is not None
    entry.usage_json = json.dumps(usage)
    entry.usage_source = UsageSource.PROVIDER
    split = usage_from_json(entry.provider, entry.endpoint, entry.usage_json)
    assert split is not None
    entry.input_tokens, entry.output_tokens = split.input_tokens, split.output_tokens
    entry.cache_read_input_tokens = split.cache_read_input_tokens
    cost = cost_of(
        catalog,
        split,
        provider=entry.provider,
        response_model=entry.response_model,
        request_model=entry.request_model,
        service_tier=None,
        on=datetime.fromtimestamp(entry.started_at_us / 1e6, UTC).date(),
    )
    entry.cost_picousd, entry.cost_reason, entry.price_entry = cost.picousd, cost.reason, cost.price_entry
