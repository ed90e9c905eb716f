"""Entries as the pipeline would hand them over, for the ledger's tests."""

import random
from typing import Any

from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.ledger.clock import DAY_US

DAY0 = 20_500
"""2026-02-16, counted from 1970-01-01."""
T0 = DAY0 * DAY_US
MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile"),
    ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
)


def uuid7(at_us: int, rng: random.Random = random.Random(7)) -> str:  # noqa: B008
    """A UUIDv7 of this moment."""
    value = (at_us // 1000) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def entry(at_us: int = T0, **changed: Any) -> LedgerEntry:
    """One ordinary request that started at this moment."""
    values: dict[str, Any] = {
        "id": uuid7(at_us),
        "started_at_us": at_us,
        "finished_at_us": at_us + 1_234_567,
        "key": "backend",
        "provider": "openai",
        "detected_by": "exact",
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06",
        "endpoint": "chat.completions",
        "status": 200,
        "outcome": Outcome.OK,
        "ttfb_ms": 400,
        "duration_ms": 1234,
        "overhead_us": 280,
        "input_tokens": 100,
        "output_tokens": 20,
        "usage_source": UsageSource.PROVIDER,
        "cost_picousd": 450_000_000,
        "price_entry": "genai-prices:openai/gpt-4o@always",
    }
    return LedgerEntry(**(values | changed))


def realistic(at_us: int, rng: random.Random) -> LedgerEntry:
    """One request of a made-up team, with everything a real row carries."""
    provider, model, answered = rng.choices(MODELS, (40, 25, 20, 10, 5))[0]
    kind = rng.random()
    failed = kind < 0.02
    feature = rng.choice((None, "chat", "search", "support-bot", "nightly-report", "tagging", "translate", "invoices"))
    task = rng.choice((None, None, "classification", "summarisation", "extraction", "generation"))
    prompt, answer = rng.randint(20, 9000), rng.randint(1, 1500)
    duration = int(rng.lognormvariate(7.2, 0.8))
    usage = (
        f'{{"prompt_tokens":{prompt},"completion_tokens":{answer},"total_tokens":{prompt + answer},'
        f'"prompt_tokens_details":{{"cached_tokens":{rng.choice((0, 1024))},"audio_tokens":0}},'
        '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,'
        f'"rejected_prediction_tokens":0}},"service_tier":"default","model":"{answered}"}}'
    )
    unpriced = 0.02 <= kind < 0.03
    return entry(
        at_us,
        id=uuid7(at_us, rng),
        finished_at_us=at_us + duration * 1000 + rng.randrange(1000),
        key=rng.choice(("backend", "batch", "web", "ci")),
        provider=provider,
        request_model=model,
        response_model=None if failed else answered,
        streamed=rng.random() < 0.5,
        status=rng.choice((400, 429, 500)) if failed else 200,
        outcome=Outcome.PROVIDER_ERROR if failed else Outcome.OK,
        error_code="rate_limit_exceeded" if failed else None,
        error_source="provider" if failed else None,
        billable=not failed,
        ttfb_ms=duration // 3,
        duration_ms=duration,
        overhead_us=rng.randint(150, 900),
        input_tokens=None if failed else prompt,
        cache_read_input_tokens=None if failed else 0,
        output_tokens=None if failed else answer,
        reasoning_tokens=None if failed else 0,
        usage_json=None if failed else usage,
        usage_source=UsageSource.NONE if failed else UsageSource.PROVIDER,
        service_tier=None if failed else "default",
        cost_picousd=0 if failed else None if unpriced else prompt * 2_500_000 + answer * 10_000_000,
        cost_reason=CostReason.UNKNOWN_MODEL if unpriced else None,
        price_entry=None if failed or unpriced else f"genai-prices:{provider}/{model}@always",
        feature=feature,
        task=task,
        prompt_bytes=prompt * 4,
        used=("tools",) if rng.random() < 0.2 else (),
        provider_request_id=f"req_{rng.getrandbits(128):032x}",
    )
