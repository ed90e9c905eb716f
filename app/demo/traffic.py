"""30 days of believable sample traffic: the same rows for the same seed, each metered as a real one would be."""

import math
import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from app.catalog.catalog import Catalog
from app.demo.fates import Fate, fate_of
from app.demo.month import DAYS, HOUR_US, moments
from app.demo.usages import USAGES, Counts
from app.demo.workloads import WORKLOADS, Workload
from app.detection.detect import detect
from app.domain import UNMETERED_ENDPOINTS, CostReason, Detection, LedgerEntry, Outcome, Reply, UsageSource
from app.metering.cost import cost_of
from app.metering.usage import estimate_usage, split_usage, usage_json

SEED = 20261122
KEYS = tuple(dict.fromkeys(workload.key for workload in WORKLOADS))
"""The Lectr keys that the sample rows name."""

_PATHS = {"messages": "/v1/messages", "messages.count_tokens": "/v1/messages/count_tokens"}
_CACHE_FROM_TOKENS = 1024
_CHARACTERS_PER_TOKEN = 4
_DAY_US = 24 * HOUR_US
_OVERHEAD_US = 340
_WITH_REQUEST_ID = frozenset(("openai", "anthropic", "groq", "azure"))


class _Kind(msgspec.Struct, frozen=True):
    """A workload with what detection says of all its requests."""

    workload: Workload
    detection: Detection


def sample_entries(catalog: Catalog, rows: int, now_us: int, seed: int = SEED) -> Iterator[LedgerEntry]:
    """`rows` entries of the 30 days before `now_us`, oldest first. Each cost is what metering makes of its usage."""
    rng = random.Random(seed)  # noqa: S311 - sample data that must come out the same again, no secret
    kinds = _kinds(catalog)
    for started_at_us, workload in moments(rng, rows, now_us):
        yield _entry(catalog, rng, kinds[workload], started_at_us, now_us)


def _kinds(catalog: Catalog) -> Mapping[Workload, _Kind]:
    kinds = {}
    for workload in WORKLOADS:
        detection = detect(
            catalog,
            model=workload.model,
            path=_PATHS.get(workload.endpoint, "/v1/chat/completions"),
            provider_header=workload.header,
            key_default=workload.key_default,
            provider_key=workload.provider_key,
        )
        kinds[workload] = _Kind(workload, detection)
    return kinds


def _entry(catalog: Catalog, rng: random.Random, kind: _Kind, started_at_us: int, now_us: int) -> LedgerEntry:
    workload, detection = kind.workload, kind.detection
    streamed = rng.random() < workload.streamed
    fate = fate_of(rng, workload, detection.provider, started_at_us, now_us, streamed=streamed)
    counts = _counts(rng, workload)
    reply = _reply(rng, workload, fate, counts)
    first_byte_ms, lasts_ms = _times(rng, workload, fate, counts, streamed=streamed)
    # A request of the last second may not end after now.
    finished_at_us = max(started_at_us, min(started_at_us + lasts_ms * 1000, now_us))
    duration_ms = (finished_at_us - started_at_us) // 1000
    entry = LedgerEntry(
        id=_id(rng, started_at_us),
        started_at_us=started_at_us,
        finished_at_us=finished_at_us,
        key=workload.key,
        provider=detection.provider,
        detected_by=detection.detected_by,
        flags=detection.flags,
        request_model=workload.model,
        response_model=reply.response_model,
        endpoint=workload.endpoint,
        streamed=streamed,
        status=fate.status,
        outcome=fate.outcome,
        error_code=fate.error_code,
        error_source=fate.error_source,
        ttfb_ms=min(first_byte_ms, duration_ms) if fate.answered else None,
        duration_ms=duration_ms,
        overhead_us=int(_OVERHEAD_US * math.exp(rng.gauss(0, 0.3))),
        service_tier=reply.service_tier,
        billable=fate.billable and workload.endpoint not in UNMETERED_ENDPOINTS,
        feature=workload.feature,
        task=workload.task,
        prompt_bytes=0 if workload.shape == "seconds" else counts.input * _CHARACTERS_PER_TOKEN,
        used=workload.used,
    )
    if fate.answered and detection.provider in _WITH_REQUEST_ID:
        entry.provider_request_id = f"req_{rng.getrandbits(96):024x}"
    if entry.billable:
        _meter(catalog, entry, detection.provider, reply, whole=fate.whole)
    else:
        entry.cost_picousd = 0
    return entry


def _meter(catalog: Catalog, entry: LedgerEntry, provider: str, reply: Reply, *, whole: bool) -> None:
    """Usage, cost and their origin, by the very functions that meter real requests."""
    usage = split_usage(provider, entry.endpoint, reply)
    entry.usage_source = UsageSource.PROVIDER
    if not whole:
        interrupted = entry.outcome is Outcome.INTERRUPTED
        usage = estimate_usage(entry.prompt_bytes, reply, usage, input_only=interrupted)
        entry.usage_source = UsageSource.ESTIMATED
    if usage is None:
        entry.usage_source = UsageSource.NONE
        entry.cost_reason = CostReason.NO_USAGE
        return
    cost = cost_of(
        catalog,
        usage,
        provider=provider,
        response_model=reply.response_model,
        request_model=entry.request_model,
        service_tier=reply.service_tier,
        on=_day_of(entry.started_at_us // _DAY_US),
    )
    entry.cost_picousd, entry.cost_reason, entry.price_entry = cost.picousd, cost.reason, cost.price_entry
    entry.flags = tuple(dict.fromkeys(entry.flags + usage.flags + cost.flags))
    entry.usage_json = usage_json(reply)
    entry.take_counts(usage)


@lru_cache(maxsize=DAYS + 2)
def _day_of(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def _counts(rng: random.Random, workload: Workload) -> Counts:
    size = max(1, int(workload.input_tokens * math.exp(rng.gauss(0, workload.scatter))))
    output = workload.output_tokens
    if output and workload.shape != "image":
        output = max(1, int(output * math.exp(rng.gauss(0, workload.scatter))))
    cached = written = 0
    if workload.cached and size >= _CACHE_FROM_TOKENS:
        cached = int(size * workload.cached * rng.uniform(0.6, 1.1)) // 128 * 128
        cached = min(cached, size)
        written = min(int(size * workload.cache_writes * rng.random() * 2), size - cached)
    reasoning = int(output * workload.reasoning * rng.uniform(0.7, 1.2))
    return Counts(size, cached, written, output, min(reasoning, output))


def _reply(rng: random.Random, workload: Workload, fate: Fate, counts: Counts) -> Reply:
    if not fate.billable:
        return Reply(provider_error=fate.error_code)
    received = 1.0 if fate.whole else rng.random()
    reply = Reply(
        response_model=None if workload.shape in ("seconds", "image") else workload.served or workload.model,
        service_tier=workload.tier,
        output_characters=int(counts.output * _CHARACTERS_PER_TOKEN * received),
        ended=fate.whole,
    )
    make = USAGES.get(workload.shape)
    if make is not None and fate.whole:
        reply.usage = make(counts)
    return reply


def _times(rng: random.Random, workload: Workload, fate: Fate, counts: Counts, *, streamed: bool) -> tuple[int, int]:
    """Milliseconds to the first byte and in all. What does not stream comes when it is complete."""
    if fate.lasts_ms is not None:
        return fate.lasts_ms, fate.lasts_ms
    waited = int(workload.first_byte_ms * math.exp(rng.gauss(0, 0.35)))
    if fate.outcome is Outcome.PROVIDER_ERROR:
        return waited // 2, waited // 2 + 1
    spoken = counts.output - counts.reasoning if streamed else counts.output
    if streamed:
        waited += counts.reasoning * 1000 // workload.tokens_per_s
    speed = workload.tokens_per_s * math.exp(rng.gauss(0, 0.15))
    received = 1.0 if fate.whole else rng.random()
    duration = waited + int(spoken * received * 1000 / speed) + 1
    return (waited if streamed else duration - 1), duration


def _id(rng: random.Random, started_at_us: int) -> str:
    """A UUIDv7 whose millisecond is the row's start."""
    moment = f"{started_at_us // 1000:012x}"
    chance = f"{rng.getrandbits(72):018x}"
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{'89ab'[rng.getrandbits(2)]}{chance[3:6]}-{chance[6:]}"
