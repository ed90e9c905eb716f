"""Puts the layers of prices of one model (team, overrides, own file, generated list) into one dated row.

On each day the highest layer that has a price then is in force; within a layer the price that started last.
A layer's standard price hides the variants (flex, batch, …) of the layers below it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from app.catalog.schema import ContextTier, Price


class LayerPrice(msgspec.Struct, frozen=True):
    """A price of one layer. `prefix` begins the entry's name; rates of a variant may be only those that differ."""

    prefix: str
    rates: Mapping[str, Decimal]
    starts: date | None = None
    until: date | None = None
    tiers: tuple[ContextTier, ...] = ()
    when: Mapping[str, str] = {}
    source: str = ""
    checked: date | None = None

    def holds_on(self, day: date) -> bool:
        """True if the price is in force on `day` as far as its own dates go."""
        return (self.starts or date.min) <= day and (self.until is None or day < self.until)


Layer = Sequence[LayerPrice]


def merge_layers(layers: Sequence[Layer]) -> tuple[Price, ...]:
    """The prices of all layers, highest first, as complete prices sorted by start; standard before variants."""
    days = {price.starts or date.min for layer in layers for price in layer}
    days |= {price.until for layer in layers for price in layer if price.until is not None}
    merged: list[Price] = []
    last: dict[tuple[tuple[str, str], ...], Price] = {}
    for day in sorted(days):
        now = {_condition(price.when): price for price in _in_force(layers, day)}
        for condition in last.keys() - now.keys():
            if () in now:
                now[condition] = msgspec.structs.replace(now[()], when=last[condition].when)
        for condition, price in now.items():
            before = last.get(condition)
            if before is None or (before.entry, before.rates, before.tiers) != (price.entry, price.rates, price.tiers):
                merged.append(price)
                last[condition] = price
    return tuple(merged)


def _condition(when: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(when.items()))


def _in_force(layers: Sequence[Layer], day: date) -> Iterator[Price]:
    for depth, layer in enumerate(layers):
        standard = _latest([price for price in layer if not price.when and price.holds_on(day)])
        if standard is None:
            continue
        yield _complete(standard, day)
        seen: set[tuple[tuple[str, str], ...]] = set()
        for upper in layers[: depth + 1]:
            for condition in dict.fromkeys(_condition(price.when) for price in upper if price.when):
                holding = [price for price in upper if _condition(price.when) == condition and price.holds_on(day)]
                variant = _latest(holding)
                if variant is not None and variant.rates and condition not in seen:
                    seen.add(condition)
                    yield _complete(_over(standard, variant), day)
        return


def _latest(prices: Sequence[LayerPrice]) -> LayerPrice | None:
    return max(prices, key=lambda price: price.starts or date.min, default=None)


def _over(standard: LayerPrice, variant: LayerPrice) -> LayerPrice:
    """The variant, with the standard rates where it has none of its own (web searches, say)."""
    kept = {
        tier.over_input_tokens: {unit: rate for unit, rate in tier.rates.items() if unit not in variant.rates}
        for tier in standard.tiers
    }
    for tier in variant.tiers:
        kept[tier.over_input_tokens] = {**kept.get(tier.over_input_tokens, {}), **tier.rates}
    starts = max(standard.starts or date.min, variant.starts or date.min)
    return msgspec.structs.replace(
        variant,
        rates={**standard.rates, **variant.rates},
        tiers=tuple(ContextTier(over, rates) for over, rates in sorted(kept.items()) if rates),
        starts=None if starts == date.min else starts,
    )


def _complete(price: LayerPrice, day: date) -> Price:
    dated = price.starts.isoformat() if price.starts else "always"
    condition = "+".join(value for _, value in sorted(price.when.items()))
    return Price(
        entry=f"{price.prefix}@{dated}" + (f"#{condition}" if condition else ""),
        starts=None if day == date.min else day,
        rates=price.rates,
        tiers=tuple(_whole_tiers(price)),
        when=price.when,
        source=price.source,
        checked=price.checked,
    )


def _whole_tiers(price: LayerPrice) -> Iterator[ContextTier]:
    """Tiers with every rate of the price: what a tier does not name costs what it did below it."""
    rates = price.rates
    for tier in price.tiers:
        rates = {**rates, **tier.rates}
        yield ContextTier(tier.over_input_tokens, rates)
