"""What the same model would have cost paid for in another way: cached prompts, batches, slower answers.

All of it is an estimate and says so. Batch and flex rates are applied to the very requests, but whether these could
have waited nobody recorded. How much of a prompt repeats itself cannot be seen without its content, so that is assumed
(policy.toml), as a range.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.catalog.schema import Rates
from app.domain import PICOUSD_PER_USD
from app.recommendation.confidence import missing_data
from app.recommendation.traffic import Bill, Group, Pricing, Slice

CACHING, BATCH, FLEX = "caching", "batch", "flex"
KINDS = (CACHING, BATCH, FLEX)
_USUAL_TIERS = frozenset((None, "default", "standard", "auto", "on_demand"))
_PER_TOKEN = PICOUSD_PER_USD // 1_000_000

Tiering = Callable[[Slice, Group, str], Bill | None]
"""Prices a slice at its own model in a service tier; None where the provider lists no such price."""


class Discount(msgspec.Struct, frozen=True):
    """What one way to pay would have saved, in pico-dollars: between `low` and `high`, where 0 is the least.

    `requests` are those that it is about, `current` what they cost at today's prices.
    """

    kind: str
    requests: int
    current_picousd: int
    low_picousd: int
    high_picousd: int


class FeatureDiscount(msgspec.Struct, frozen=True):
    """The same for all groups of a feature (None: untagged). Kinds are about the same money: they do not add up."""

    feature: str | None
    discount: Discount


def discounts(catalog: Catalog, group: Group, price: Pricing, tier: Tiering, on: date) -> tuple[Discount, ...]:
    """The kinds that would have saved something; none where the data are not enough for any advice."""
    if missing_data(catalog.policy, group):
        return ()
    # Azure lists batch deployments, and nothing like flex.
    tiers = (BATCH,) if group.provider != group.source.provider else (BATCH, FLEX)
    found = [_caching(catalog, group, price, on), *(_tier(group, price, tier, kind) for kind in tiers)]
    return tuple(discount for discount in found if discount.high_picousd > 0)


def _tier(group: Group, price: Pricing, tier: Tiering, kind: str) -> Discount:
    requests = current = saved = 0
    for part in group.slices:
        if part.streamed or part.service_tier not in _USUAL_TIERS:
            continue
        own, other = price(part, group, None), tier(part, group, kind)
        if other is not None and other.picousd < own.picousd:
            requests += part.requests
            current += own.picousd
            saved += own.picousd - other.picousd
    return Discount(kind, requests, current, 0, saved)


def _caching(catalog: Catalog, group: Group, price: Pricing, on: date) -> Discount:
    policy = catalog.policy
    shares = [threshold(policy, name) for name in ("repeated_prompt_share_low", "repeated_prompt_share_high")]
    requests = current = 0
    saved = [0, 0]
    # Short prompts are cached by nobody: the providers begin at 1,024 tokens.
    for part in group.slices if group.long else ():
        match = catalog.price_at(group.provider, part.response_model or group.source.id, on)
        rates = None if match is None else _rates_at(match.price.rates, match.price.tiers, part.most_input)
        gains = [Decimal(0), Decimal(0)] if rates is None else [_gain(policy, part, rates, share) for share in shares]
        if gains[1] <= 0:
            continue
        requests += part.requests
        current += price(part, group, None).picousd
        for place, gain in enumerate(gains):
            saved[place] += max(0, int(gain.to_integral_value(ROUND_FLOOR)))
    return Discount(CACHING, requests, current, *saved)


def _rates_at(rates: Rates, tiers: Iterable[Any], size: int) -> Rates:
    for tier in sorted(tiers, key=lambda tier: int(tier.over_input_tokens)):
        if size > tier.over_input_tokens:
            rates = tier.rates
    return rates


def _gain(policy: Mapping[str, Any], part: Slice, rates: Rates, share: Decimal) -> Decimal:
    """Pico-dollars saved if `share` of all input were a beginning that repeats, beyond what was cached already."""
    fresh, cached = rates.get("input_mtok"), rates.get("cache_read_mtok")
    if fresh is None or cached is None:
        return Decimal(0)
    written = rates.get("cache_write_5m_mtok", rates.get("cache_write_mtok", fresh))
    usage, misses = part.usage, threshold(policy, "cache_miss_share")
    already = usage.cache_read_input_tokens + usage.cache_write_5m_input_tokens + usage.cache_write_1h_input_tokens
    # Never more than what was billed as fresh input.
    more = min(share * usage.total_input_tokens - already, Decimal(usage.input_tokens))
    if more <= 0:
        return Decimal(0)
    return more * _PER_TOKEN * ((1 - misses) * (fresh - cached) - misses * (written - fresh))


def by_feature(groups: Iterable[tuple[str | None, tuple[Discount, ...]]]) -> list[FeatureDiscount]:
    """Summed up by feature and kind: the feature that could save most comes first."""
    sums: dict[str | None, dict[str, Discount]] = {}
    for feature, found in groups:
        kinds = sums.setdefault(feature, {})
        for one in found:
            so_far = kinds.get(one.kind, Discount(one.kind, 0, 0, 0, 0))
            kinds[one.kind] = Discount(
                one.kind,
                so_far.requests + one.requests,
                so_far.current_picousd + one.current_picousd,
                so_far.low_picousd + one.low_picousd,
                so_far.high_picousd + one.high_picousd,
            )
    order = sorted(
        (item for item in sums.items() if item[1]),
        key=lambda item: (-max(one.high_picousd for one in item[1].values()), item[0] or ""),
    )
    return [FeatureDiscount(feature, kinds[kind]) for feature, kinds in order for kind in KINDS if kind in kinds]
