"""The catalog: look-ups of models, prices and downgrades by name, built once and never changed afterwards."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.assemble import Name, Sources, build_models
from app.catalog.imported import merge_price_lists
from app.catalog.names import fine_tune_base, normalise, without_date
from app.catalog.price_list import decode_price_list
from app.catalog.schema import Model, Override, Price, Provider
from app.catalog.team import apply_prices
from app.errors import RegistryError

__all__ = ["Catalog", "CatalogHolder", "PriceMatch", "normalise"]

_NO_CONDITIONS: Mapping[str, str] = {}


class PriceMatch(msgspec.Struct, frozen=True):
    """The price of a model. `by_base`: it is the price of the undated name, so not a confident one."""

    model: Model
    price: Price
    by_base: bool


class _Listed(msgspec.Struct, frozen=True):
    """A model with its prices newest first: `standard`, and `variants` with the most conditions first."""

    model: Model
    standard: tuple[Price, ...]
    variants: tuple[Price, ...]

    def price_on(self, day: date, conditions: Mapping[str, str]) -> Price | None:
        if conditions:
            for price in self.variants:
                if (price.starts is None or price.starts <= day) and price.when.items() <= conditions.items():
                    return price
        for price in self.standard:
            if price.starts is None or price.starts <= day:
                return price
        return None


class Catalog:
    """Providers, models and prices of the registry, with the team's overrides in them.

    Names are compared as `normalise` leaves them. A provider with `catalog_from` (azure) serves other
    providers' models too, and is never found unless it is asked for.
    """

    def __init__(self, sources: Sources) -> None:
        listed = build_models(sources)
        models = apply_prices(sources, listed)
        self._sources = sources
        self.providers: Mapping[str, Provider] = sources.providers
        self.models: tuple[Model, ...] = tuple(models.values())
        self.listed_on: date = sources.price_list.generated_on
        self.registry_dir: Path = sources.registry_dir
        self.policy: Mapping[str, Any] = sources.policy
        own = _names(sources, models)
        self._owners = _owners(own)
        self._by_provider = _with_aliases(sources, _with_borrowed(sources, own, _names(sources, listed)))

    def find(self, name: str, provider: str | None = None) -> Model | None:
        """The model that `name` is exactly, or None. Without `provider`: the first that lists it, never azure."""
        key = normalise(name)
        if provider is not None:
            listed = self._by_provider.get(provider, {}).get(key)
            return listed.model if listed else None
        for owner, names in self._by_provider.items():
            if key in names and not self._borrows(owner):
                return names[key].model
        return None

    def owners(self, name: str) -> tuple[str, ...]:
        """Every provider that lists the name itself, in provider order."""
        return self._owners.get(normalise(name), ())

    def price_at(
        self, provider: str, name: str, on: date, conditions: Mapping[str, str] = _NO_CONDITIONS
    ) -> PriceMatch | None:
        """The price of `name` on a day, under `conditions` (`service_tier`, `speed`, `processing`); None: no price.

        A fine-tuned model has the price of its own listed `ft:<base>` only, never that of the base.
        """
        names = self._by_provider.get(provider)
        if names is None:
            return None
        key = normalise(name)
        listed = names.get(key)
        by_base = False
        if listed is None:
            key = fine_tune_base(key) or key
            listed = names.get(key)
        if listed is None:
            listed = names.get(without_date(key, provider) or "")
            by_base = True
        if listed is None:
            return None
        price = listed.price_on(on, conditions)
        return None if price is None else PriceMatch(listed.model, price, by_base)

    def near(self, name: str, limit: int = 3) -> tuple[str, ...]:
        """The listed names most like `name`, best first; for people who mistyped, never for pricing."""
        names = sorted({key for names in self._by_provider.values() for key in names})
        return tuple(difflib.get_close_matches(normalise(name)[:200], names, limit, cutoff=0.6))

    def with_overrides(self, overrides: Sequence[Override]) -> "Catalog":
        """This catalog with exactly these team overrides. Raises RegistryError for one that cannot be used."""
        return Catalog(msgspec.structs.replace(self._sources, team=tuple(overrides)))

    def with_price_list(self, document: bytes) -> "Catalog":
        """This catalog with a newer generated price list. Raises RegistryError if it is not one, or not newer."""
        newer = decode_price_list(document, file="imported price list")
        merged = merge_price_lists(self._sources.price_list, newer, known=tuple(self.providers))
        return Catalog(msgspec.structs.replace(self._sources, price_list=merged))

    def _borrows(self, provider: str) -> bool:
        return bool(self.providers[provider].catalog_from)


class CatalogHolder:
    """The one cell that a process swaps when prices or overrides change; readers take `current` once per use."""

    def __init__(self, catalog: Catalog) -> None:
        self.current = catalog


def _names(sources: Sources, models: Mapping[Name, Model]) -> dict[str, dict[str, _Listed]]:
    names: dict[str, dict[str, _Listed]] = {provider: {} for provider in sources.providers}
    served = [model for model in models.values() if model.served and model.provider in names]
    rows = [(model, _listed(model)) for model in served]
    for model, listed in rows:
        names[model.provider][model.id] = listed
    for model, listed in rows:
        for alias in model.aliases:
            names[model.provider].setdefault(alias, listed)
    return names


def _with_borrowed(
    sources: Sources, own: Mapping[str, Mapping[str, _Listed]], lenders: Mapping[str, Mapping[str, _Listed]]
) -> dict[str, dict[str, _Listed]]:
    """Own names first. What is borrowed has the list price: a team's price holds for the provider it was made for."""
    whole: dict[str, dict[str, _Listed]] = {}
    for provider, entry in sources.providers.items():
        whole[provider] = dict(own[provider])
        for lender in entry.catalog_from:
            for name, listed in lenders.get(lender, {}).items():
                whole[provider].setdefault(name, listed)
    return whole


def _with_aliases(sources: Sources, names: dict[str, dict[str, _Listed]]) -> dict[str, dict[str, _Listed]]:
    aliases = [override for override in sources.team if override.kind == "alias"]
    targets = [names[override.provider].get(normalise(override.model)) for override in aliases]
    for override, target in zip(aliases, targets, strict=True):
        if target is None:
            raise RegistryError("team overrides", str(override.id), f"{override.provider} lists no {override.model}")
        names[override.provider][normalise(override.alias or "")] = target
    return names


def _owners(own: Mapping[str, Mapping[str, _Listed]]) -> dict[str, tuple[str, ...]]:
    owners: dict[str, tuple[str, ...]] = {}
    for provider, names in own.items():
        for name in names:
            owners[name] = (*owners.get(name, ()), provider)
    return owners


def _listed(model: Model) -> _Listed:
    newest = sorted(model.prices, key=lambda price: price.starts or date.min, reverse=True)
    return _Listed(
        model=model,
        standard=tuple(price for price in newest if not price.when),
        variants=tuple(sorted((price for price in newest if price.when), key=lambda price: -len(price.when))),
    )
