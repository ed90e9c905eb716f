"""Lays a newer price list over the one in force, so that no price of the past is lost or rewritten."""

from datetime import date

import msgspec

from app.catalog.price_list import PriceList, PricePeriod, PriceVariant, TokenPrices
from app.errors import RegistryError

_FILE = "imported price list"


def merge_price_lists(old: PriceList, newer: PriceList, *, known: tuple[str, ...]) -> PriceList:
    """`newer` with what only `old` knows. Raises RegistryError if it is not newer or names a foreign provider.

    A rate that changed without a start date of its own holds from the day of the newer list on; a model that
    the newer list dropped keeps its prices, since old requests are priced by them.
    """
    if newer.generated_on <= old.generated_on:
        raise RegistryError(
            _FILE, "generated_on", f"is {newer.generated_on}; the list in force is of {old.generated_on}, not older"
        )
    for index, model in enumerate(newer.models):
        if model.provider not in known:
            raise RegistryError(_FILE, f"models[{index}].provider", f"{model.provider[:40]!r} is no provider here")
    before = {(model.provider, model.id): model for model in old.models}
    after = {(model.provider, model.id): model for model in newer.models}
    models = [_merged(before.get(name), model, newer.generated_on) for name, model in after.items()]
    models += [model for name, model in before.items() if name not in after]
    models.sort(key=lambda model: (model.provider, model.id))
    return msgspec.structs.replace(newer, models=models)


def _merged(old: TokenPrices | None, new: TokenPrices, day: date) -> TokenPrices:
    if old is None:
        return new
    return msgspec.structs.replace(new, prices=_periods(old, new, day), variants=_variants(old, new, day))


def _periods(old: TokenPrices, new: TokenPrices, day: date) -> tuple[PricePeriod, ...]:
    periods = {period.starts: period for period in old.prices}
    for period in new.prices:
        before = periods.get(period.starts)
        if before is None or _is_future(period.starts, day):
            periods[period.starts] = period
        elif (before.rates, before.tiers) != (period.rates, period.tiers) and period is _in_force(new, day):
            periods[day] = msgspec.structs.replace(period, starts=day)
    return tuple(periods[start] for start in sorted(periods, key=lambda start: start or date.min))


def _variants(old: TokenPrices, new: TokenPrices, day: date) -> tuple[PriceVariant, ...]:
    variants = {(tuple(sorted(row.when.items())), row.starts): row for row in old.variants}
    for row in new.variants:
        key = (tuple(sorted(row.when.items())), row.starts)
        before = variants.get(key)
        if before is None or _is_future(row.starts, day):
            variants[key] = row
        elif (before.rates, before.tiers) != (row.rates, row.tiers):
            variants[key[0], day] = msgspec.structs.replace(row, starts=day)
    return tuple(variants.values())


def _is_future(starts: date | None, day: date) -> bool:
    return starts is not None and starts >= day


def _in_force(model: TokenPrices, day: date) -> PricePeriod | None:
    started = [period for period in model.prices if period.starts is None or period.starts <= day]
    return started[-1] if started else None
