"""A price list of made-up models, small enough to check by hand."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import msgspec

from app.catalog.schema import ContextTier, Model, Price
from app.domain import Cost, Usage
from app.metering.cost import bill_of, cost_of
from app.metering.usual_cost import usual_cost

TODAY = date(2026, 11, 22)


def price(
    entry: str,
    rates: Mapping[str, str],
    *,
    over: Mapping[int, Mapping[str, str]] | None = None,
    when: Mapping[str, str] | None = None,
    starts: date | None = None,
) -> Price:
    """A price from decimal strings."""
    tiers = tuple(ContextTier(size, _decimal(tier)) for size, tier in (over or {}).items())
    return Price(entry=entry, starts=starts, rates=_decimal(rates), tiers=tiers, when=dict(when or {}))


def _decimal(rates: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(rate) for name, rate in rates.items()}


class Found(msgspec.Struct, frozen=True):
    """What the list answers."""

    model: Model
    price: Price
    by_base: bool = False


class PriceList:
    """Answers for its models; a name that ends in `-DATED` is found by its base."""

    def __init__(self, models: Mapping[str, tuple[Price, ...]]) -> None:
        self._models = models

    def price_at(self, provider: str, name: str, on: date, conditions: Mapping[str, str] | None = None) -> Found | None:
        base = name.removesuffix("-DATED")
        prices = self._models.get(base)
        if prices is None:
            return None
        fits = [
            each
            for each in prices
            if (each.starts is None or each.starts <= on) and each.when.items() <= (conditions or {}).items()
        ]
        best = max(fits, key=lambda each: (len(each.when), each.starts or date.min), default=None)
        return Found(Model(provider=provider, id=base), best, base != name) if best is not None else None


def cost(
    prices: PriceList,
    usage: Usage,
    model: str | None,
    *,
    asked: str | None = None,
    provider: str = "openai",
    tier: str | None = None,
    on: date = TODAY,
) -> Cost:
    """The cost, after checking that the bill says the same and adds up to it, and that the short way says the same."""
    ask = {"provider": provider, "response_model": model, "request_model": asked, "service_tier": tier}
    plain = cost_of(prices, usage, on=on, **ask)  # type: ignore[arg-type]
    bill = bill_of(prices, usage, on=on, **ask)  # type: ignore[arg-type]
    assert plain == usual_cost(prices, usage, on=on, **ask)  # type: ignore[arg-type]
    assert (plain.picousd, plain.reason, plain.flags) == (bill.picousd, bill.reason, bill.flags)
    if bill.picousd is not None:
        off = sum((line.amount_usd for line in bill.lines), Decimal(0)) * 10**12 - bill.picousd
        assert abs(off) <= Decimal("0.5")
    return plain
