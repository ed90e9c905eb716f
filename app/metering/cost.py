"""What a usage costs: each bucket times the rate in force, summed exactly, rounded once to whole pico-dollars.

A rate that is missing is either replaced by the rate the provider's own price page implies (see `_FALLBACKS`), or the
cost is not known. It is never guessed from another model.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Protocol

import msgspec

from app.catalog.schema import Model, Price, Rates
from app.domain import MAX_PICOUSD, PICOUSD_PER_USD, BillLine, Cost, CostReason, Usage
from app.metering.counters import IMPLAUSIBLE

US_INFERENCE_MULTIPLIER = Decimal("1.1")
"""Anthropic bills inference kept in the US at 1.1 times each token rate, from the 4.6 models on."""

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MILLION = 1_000_000
_HOUR_MILLISECONDS = 3_600_000
# Bucket and the rates that name it, first one first; the other buckets with the units their rate is for.
_TOKEN_BUCKETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("input_tokens", ("input_mtok", "input_text_mtok")),
    ("cache_read_input_tokens", ("cache_read_mtok",)),
    ("cache_write_5m_input_tokens", ("cache_write_5m_mtok", "cache_write_mtok")),
    ("cache_write_1h_input_tokens", ("cache_write_1h_mtok",)),
    ("cache_write_12h_input_tokens", ("cache_write_12h_mtok",)),
    ("output_tokens", ("output_mtok", "output_text_mtok")),
    ("input_audio_tokens", ("input_audio_mtok",)),
    ("cache_read_audio_tokens", ("cache_audio_read_mtok",)),
    ("output_audio_tokens", ("output_audio_mtok",)),
    ("input_image_tokens", ("input_image_mtok",)),
    ("cache_read_image_tokens", ("cache_image_read_mtok",)),
    ("output_image_tokens", ("output_image_mtok",)),
)
_OTHER_BUCKETS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("web_searches", ("web_searches_kcount",), 1000),
    ("input_characters", ("input_mchars",), _MILLION),
    ("audio_milliseconds", ("input_audio_hours", "audio_hours"), _HOUR_MILLISECONDS),
)
# A model without a cached rate has no discount, one without a write rate charges writes as input, and images without
# a rate of their own are counted in text tokens. Audio is many times dearer than text: never at the text rate, but
# for Gemini, whose price page names audio only where it differs. A one-hour write is dearer by a model's own factor.
_FALLBACKS: Mapping[str, tuple[str, str | None]] = {
    "cache_read_input_tokens": ("input_mtok", "cached_at_input_rate"),
    "cache_read_audio_tokens": ("input_audio_mtok", "cached_at_input_rate"),
    "cache_write_5m_input_tokens": ("input_mtok", "cache_write_at_input_rate"),
    "input_image_tokens": ("input_mtok", None),
    "cache_read_image_tokens": ("cache_read_mtok", None),
    "output_image_tokens": ("output_mtok", None),
}
_GEMINI_FALLBACKS: Mapping[str, tuple[str, str | None]] = {
    **_FALLBACKS,
    "input_audio_tokens": ("input_mtok", None),
    "output_audio_tokens": ("output_mtok", None),
}
_NAMED_BY = {"cache_read_mtok": "cache_read_input_tokens"}
_STANDARD_TIERS = frozenset(("default", "standard", "auto", "on_demand", "standard_only", "scale"))
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2})(?!\d))?")


class Match(Protocol):
    """A price found for a name; `by_base` where only a date was taken off the name."""

    @property
    def model(self) -> Model: ...
    @property
    def price(self) -> Price: ...
    @property
    def by_base(self) -> bool: ...


class Prices(Protocol):
    """What is needed of the catalog."""

    def price_at(self, provider: str, name: str, on: date, conditions: Mapping[str, str] = ...) -> Match | None:
        """The price of `name` in force on `on`, None if it has none."""

    def __hash__(self) -> int: ...


class _NoRate(Exception):
    """A bucket holds something that has no rate."""


class Question(msgspec.Struct, frozen=True):
    catalog: Prices
    provider: str
    service_tier: str | None
    on: date


def cost_of(
    catalog: Prices,
    usage: Usage,
    *,
    provider: str,
    response_model: str | None,
    request_model: str | None,
    service_tier: str | None,
    on: date,
) -> Cost:
    """The cost of one request at the prices of `on`; `lines` stays empty (see `bill_of`). Never negative."""
    return _cost(Question(catalog, provider, service_tier, on), usage, response_model, request_model, None)


def bill_of(
    catalog: Prices,
    usage: Usage,
    *,
    provider: str,
    response_model: str | None,
    request_model: str | None,
    service_tier: str | None,
    on: date,
) -> Cost:
    """As `cost_of`, with a line for each bucket; their amounts sum to the total before it is rounded."""
    return _cost(Question(catalog, provider, service_tier, on), usage, response_model, request_model, [])


def _cost(
    ask: Question, usage: Usage, response_model: str | None, request_model: str | None, lines: list[BillLine] | None
) -> Cost:
    if IMPLAUSIBLE in usage.flags:
        return Cost(None, CostReason.IMPLAUSIBLE_USAGE)
    match = match_of(ask, response_model, request_model, usage.modifiers)
    if match is None:
        return Cost(None, CostReason.UNKNOWN_MODEL)
    entry = match.price.entry
    flags: list[str] = []
    total = _Sum(lines)
    try:
        _add(total, ask, usage, match, flags)
        for extra in usage.extra_passes:
            own = match
            if extra.model is not None or extra.usage.modifiers != usage.modifiers:
                found = match_of(ask, extra.model or match.model.id, None, extra.usage.modifiers)
                if found is None:
                    return Cost(None, CostReason.UNKNOWN_MODEL, entry, tuple(flags))
                own = found
            _add(total, ask, extra.usage, own, flags)
    except _NoRate:
        return Cost(None, CostReason.NO_RATE_FOR_UNIT, entry, tuple(flags))
    picousd = total.rounded()
    if picousd > MAX_PICOUSD:
        return Cost(None, CostReason.IMPLAUSIBLE_USAGE, entry, tuple(flags))
    return Cost(picousd, None, entry, tuple(flags), tuple(lines or ()))


def match_of(
    ask: Question, response_model: str | None, request_model: str | None, modifiers: Mapping[str, str]
) -> Match | None:
    """The model the answer names, then the one asked for, then either without its date.

    Where the answer's name without its date is another model than the one asked for, the answer is believed: an
    Azure deployment may be called `gpt-4` and serve anything.
    """
    conditions = _conditions(ask.service_tier, modifiers)
    find = ask.catalog.price_at
    answered = find(ask.provider, response_model, ask.on, conditions) if response_model else None
    if answered is not None and not answered.by_base:
        return answered
    asked = find(ask.provider, request_model, ask.on, conditions) if request_model else None
    if answered is None:
        return asked
    if asked is not None and not asked.by_base and asked.model.id == answered.model.id:
        return asked
    return answered


_NONE: Mapping[str, str] = {}


def _conditions(service_tier: str | None, modifiers: Mapping[str, str]) -> Mapping[str, str]:
    if not modifiers and (service_tier is None or service_tier in _STANDARD_TIERS):
        return _NONE
    conditions = {key: value for key, value in modifiers.items() if key != "inference_geo"}
    if service_tier == "batch":
        conditions["processing"] = "batch"
    elif service_tier is not None and service_tier not in _STANDARD_TIERS:
        conditions["service_tier"] = service_tier
    return conditions


def _add(total: "_Sum", ask: Question, usage: Usage, match: Match, flags: list[str]) -> None:
    """Add one pass at the price of its model."""
    if match.by_base:
        _flag(flags, "price_by_base")
    _flag_variant(ask, usage, match.price, flags)
    tier_rates = _tier_rates(match.price, usage)
    factor = _geo_factor(match.model, usage)
    for bucket, quantity, rate, per in _priced(ask.provider, usage, match.price.rates, tier_rates, flags):
        if factor is not None and bucket.endswith("_tokens"):
            rate = _EXACT.multiply(rate, factor)
        total.add(bucket, quantity, rate, per, match.price.entry)


class _Sum:
    """Pico-dollars, added up without loss: a rate per hour has no finite decimals, so those are kept as a fraction."""

    def __init__(self, lines: list[BillLine] | None) -> None:
        self._decimal = Decimal(0)
        self._hours = Fraction(0)
        self._lines = lines

    def add(self, bucket: str, quantity: int, rate: Decimal, per: int, entry: str) -> None:
        """Add `quantity` units at `rate` US dollars per `per` of them."""
        dollars = _EXACT.multiply(rate, quantity)
        if per == _HOUR_MILLISECONDS:
            self._hours += Fraction(dollars) * PICOUSD_PER_USD / per
        else:
            self._decimal = _EXACT.fma(dollars, PICOUSD_PER_USD // per, self._decimal)
        if self._lines is not None:
            self._lines.append(BillLine(bucket, quantity, rate, per, _EXACT.divide(dollars, per), entry))

    def rounded(self) -> int:
        """Whole pico-dollars, half to even."""
        if self._hours:
            return round(Fraction(self._decimal) + self._hours)
        return int(self._decimal.to_integral_value(ROUND_HALF_EVEN, _EXACT))


def _priced(
    provider: str, usage: Usage, rates: Rates, tier_rates: Rates | None, flags: list[str]
) -> Iterator[tuple[str, int, Decimal, int]]:
    for bucket, names in _TOKEN_BUCKETS:
        quantity = getattr(usage, bucket)
        if quantity:
            yield bucket, quantity, _rate(provider, bucket, names, rates, tier_rates, flags), _MILLION
    for bucket, names, per in _OTHER_BUCKETS:
        quantity = getattr(usage, bucket)
        if quantity:
            yield bucket, quantity, _rate(provider, bucket, names, rates, tier_rates, flags), per


def _rate(
    provider: str, bucket: str, names: tuple[str, ...], rates: Rates, tier_rates: Rates | None, flags: list[str]
) -> Decimal:
    for name in names:
        rate = tier_rates.get(name) if tier_rates is not None else None
        if rate is None:
            rate = rates.get(name)
        if rate is not None:
            return rate
    fallback = (_GEMINI_FALLBACKS if provider == "gemini" else _FALLBACKS).get(bucket)
    if fallback is None:
        raise _NoRate
    name, flag = fallback
    rate = _rate(provider, _NAMED_BY.get(name, ""), (name,), rates, tier_rates, flags)
    if flag is not None:
        _flag(flags, flag)
    return rate


def _tier_rates(price: Price, usage: Usage) -> Rates | None:
    if not price.tiers:
        return None
    # A tool loop's counters are sums over passes, each of which was held against the threshold by itself.
    size = usage.total_input_tokens if usage.largest_pass_tokens is None else usage.largest_pass_tokens
    best = None
    for tier in price.tiers:
        if size > tier.over_input_tokens and (best is None or tier.over_input_tokens > best.over_input_tokens):
            best = tier
    return best.rates if best is not None else None


def _geo_factor(model: Model, usage: Usage) -> Decimal | None:
    if usage.modifiers.get("inference_geo") != "us":
        return None
    found = _CLAUDE.match(model.id)
    if found is None or (int(found[1]), int(found[2] or 0)) < (4, 6):
        return None
    return US_INFERENCE_MULTIPLIER


def _flag_variant(ask: Question, usage: Usage, price: Price, flags: list[str]) -> None:
    # The answer names a tier or speed that this model has no price for: the standard price stands, marked.
    conditions = _conditions(ask.service_tier, usage.modifiers)
    if conditions and any(price.when.get(key) != value for key, value in conditions.items()):
        if ask.provider == "groq" and conditions.get("service_tier") == "flex" and len(conditions) == 1:
            return
        _flag(flags, "variant_unpriced")


def _flag(flags: list[str], name: str) -> None:
    if name not in flags:
        flags.append(name)
