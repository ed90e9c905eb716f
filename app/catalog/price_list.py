"""The generated price list (registry/prices.json, or a newer one that a team imports): its shape and its rules."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

import msgspec

from app.catalog.names import is_name
from app.catalog.rates import rate_problems
from app.errors import RegistryError

MAX_BYTES = 4 * 1024 * 1024
MAX_MODELS = 10_000


class TierRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rates of the whole request where its total input is over `over_input_tokens`."""

    over_input_tokens: int
    rates: Mapping[str, str]


class PricePeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The standard price from `starts` on (absent: since always). Rates are decimal strings in US dollars."""

    rates: Mapping[str, str]
    starts: date | None = None
    tiers: tuple[TierRow, ...] = ()


class PriceVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rates that stand in for the standard ones where every pair of `when` holds of the answer."""

    when: Mapping[str, str]
    rates: Mapping[str, str]
    starts: date | None = None
    tiers: tuple[TierRow, ...] = ()


class TokenPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model of the list. `aliases` are the names that the source matches exactly; never prefixes."""

    provider: str
    id: str
    aliases: tuple[str, ...] = ()
    context: int | None = None
    deprecated: bool = False
    prices: tuple[PricePeriod, ...] = ()
    variants: tuple[PriceVariant, ...] = ()


class PriceListSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the list was made from."""

    name: str
    version: str
    licence: str


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole price list, dated `generated_on`."""

    schema: int
    generated_on: date
    source: PriceListSource
    models: list[TokenPrices]


def decode_price_list(document: bytes, *, file: str = "prices.json") -> PriceList:
    """The document as a list. Raises RegistryError with the path of what is wrong; nothing is half taken."""
    if len(document) > MAX_BYTES:
        raise RegistryError(file, "", f"is {len(document):,} bytes; a price list has at most {MAX_BYTES:,}")
    try:
        listed = msgspec.json.decode(document, type=PriceList)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RegistryError(file, "", f"is no price list: {error}") from error
    problem = next(problems_of(listed), None)
    if problem is not None:
        raise RegistryError(file, *problem)
    return listed


def problems_of(listed: PriceList) -> Iterator[tuple[str, str]]:
    """Every (path, problem) of a decoded list that its types alone do not show."""
    if listed.schema != 1:
        yield "schema", f"is {listed.schema}; this Lectr reads schema 1"
    if not listed.models:
        yield "models", "is empty"
    if len(listed.models) > MAX_MODELS:
        yield "models", f"has {len(listed.models):,} entries; a price list has at most {MAX_MODELS:,}"
    seen: set[tuple[str, str]] = set()
    for index, model in enumerate(listed.models):
        where = f"models[{index}]"
        if (model.provider, model.id) in seen:
            yield where, f"{model.provider}/{model.id} stands in the list twice"
        seen.add((model.provider, model.id))
        for name in (model.id, *model.aliases):
            if not is_name(name):
                yield where, f"{name[:40]!r} is no model name: lower case, no spaces, at most 200 characters"
        yield from _price_problems(where, model)


def _price_problems(where: str, model: TokenPrices) -> Iterator[tuple[str, str]]:
    rows: list[tuple[str, PricePeriod | PriceVariant]] = [
        *((f"{where}.prices[{index}]", period) for index, period in enumerate(model.prices)),
        *((f"{where}.variants[{index}]", variant) for index, variant in enumerate(model.variants)),
    ]
    for path, row in rows:
        yield from rate_problems(f"{path}.rates", row.rates)
        yield from tier_problems(path, row.tiers)
        if isinstance(row, PriceVariant) and not row.when:
            yield f"{path}.when", "a variant needs a condition"
    starts = [period.starts or date.min for period in model.prices]
    if any(later <= earlier for earlier, later in pairwise(starts)):
        yield f"{where}.prices", "must be in the order of their start, one for each day"


def tier_problems(where: str, tiers: tuple[TierRow, ...]) -> Iterator[tuple[str, str]]:
    """Every (path, problem) of the context tiers of one price."""
    before = 0
    for index, tier in enumerate(tiers):
        if tier.over_input_tokens <= before:
            yield f"{where}.tiers[{index}].over_input_tokens", f"must be over {before:,}: tiers stand in rising order"
        before = tier.over_input_tokens
        yield from rate_problems(f"{where}.tiers[{index}].rates", tier.rates)
