"""Makes registry/prices.json from the installed package genai-prices. A development command, never run by a server.

The document is the same to the byte for the same package version and day, so that a diff shows prices only.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from app.catalog.price_list import (
    PriceList,
    PriceListSource,
    PricePeriod,
    PriceVariant,
    TierRow,
    TokenPrices,
    decode_price_list,
)
from app.catalog.schema import UNITS

_PROVIDERS = {"anthropic": "anthropic", "azure": "azure", "google": "gemini", "groq": "groq", "openai": "openai"}


def build_price_list(on: date) -> bytes:
    """The price list of the five providers as JSON, dated `on`. Needs the development package genai-prices."""
    import genai_prices
    from genai_prices.data import providers

    known = {provider.id: provider for provider in providers}
    models = [
        _model(_PROVIDERS[name], model)
        for name in sorted(_PROVIDERS, key=lambda name: _PROVIDERS[name])
        for model in sorted(known[name].models, key=lambda model: str(model.id))
        if not (name == "google" and model.id.startswith("claude"))  # Vertex AI sells those, the Gemini API does not
    ]
    listed = PriceList(
        schema=1,
        generated_on=on,
        source=PriceListSource(name="genai-prices", version=genai_prices.__version__, licence="MIT"),
        models=models,
    )
    return msgspec.json.format(msgspec.json.encode(listed), indent=1) + b"\n"


def diff_price_lists(old: bytes, new: bytes) -> list[str]:
    """One line for each model that came, went or changed, in order; empty if nothing did."""
    before, after = _by_name(old), _by_name(new)
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name}: {_brief(after[name])}")
        elif name not in after:
            lines.append(f"- {name}: {_brief(before[name])}")
        elif before[name] != after[name]:
            lines.append(f"~ {name}: {_brief(before[name])} -> {_brief(after[name])}")
    return lines


def _by_name(document: bytes) -> dict[str, TokenPrices]:
    return {f"{model.provider}/{model.id}": model for model in decode_price_list(document).models}


def _brief(model: TokenPrices) -> str:
    if not model.prices:
        return "no price"
    latest = model.prices[-1]
    rates = " ".join(f"{unit}={rate}" for unit, rate in latest.rates.items()) or "free"
    dated = f" from {latest.starts}" if latest.starts else ""
    counts = f"{len(model.prices)} period(s), {len(model.variants)} variant(s), {len(model.aliases)} alias(es)"
    return f"{rates}{dated}, {counts}"


def _model(provider: str, model: Any) -> TokenPrices:
    names = dict.fromkeys(_exact_names(model.match))
    names.pop(model.id, None)
    return TokenPrices(
        provider=provider,
        id=model.id,
        aliases=tuple(names),
        context=model.context_window,
        deprecated=bool(model.deprecated),
        prices=tuple(_periods(model.prices)),
        variants=tuple(_variant(variant) for variant in model.price_variants or ()),
    )


def _exact_names(clause: Any) -> Iterable[str]:
    """Only `equals` may set a price: a prefix like `gpt-4` would swallow `gpt-4o`."""
    if hasattr(clause, "equals"):
        yield clause.equals
    for part in getattr(clause, "or_", ()) or getattr(clause, "and_", ()):
        yield from _exact_names(part)


def _periods(prices: Any) -> Iterable[PricePeriod]:
    if not isinstance(prices, list):
        rates, tiers = _rates(prices)
        yield PricePeriod(rates=rates, tiers=tiers)
        return
    for conditional in prices:
        rates, tiers = _rates(conditional.prices)
        yield PricePeriod(starts=_start(conditional.constraint), rates=rates, tiers=tiers)


def _variant(variant: Any) -> PriceVariant:
    rates, tiers = _rates(variant.prices)
    return PriceVariant(when=dict(variant.when), starts=_start(variant.constraint), rates=rates, tiers=tiers)


def _start(constraint: Any) -> date | None:
    if constraint is None:
        return None
    if not isinstance(getattr(constraint, "start_date", None), date):
        raise ValueError(f"a price by time of day, which Lectr does not know: {constraint!r}")
    return constraint.start_date  # type: ignore[no-any-return]


def _rates(prices: Any) -> tuple[Mapping[str, str], tuple[TierRow, ...]]:
    rates: dict[str, str] = {}
    tiers: dict[int, dict[str, str]] = {}
    for unit in sorted(prices.__dict__, key=list(UNITS).index):
        value = prices.__dict__[unit]
        if value is None:
            continue
        rates[unit] = _decimal(getattr(value, "base", value))
        for tier in getattr(value, "tiers", ()):
            tiers.setdefault(tier.start, {})[unit] = _decimal(tier.price)
    return rates, tuple(TierRow(over_input_tokens=start, rates=tiers[start]) for start in sorted(tiers))


def _decimal(value: Decimal) -> str:
    return format(value.normalize(), "f")
