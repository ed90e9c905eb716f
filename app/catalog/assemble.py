"""Builds the models of the catalog from what the files, the price list and the team say."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.files import CapabilitiesRow, DowngradesRow, LifecycleRow, ModelRow, OverrideRow, PriceRow
from app.catalog.layers import LayerPrice, merge_layers
from app.catalog.price_list import PriceList, PricePeriod, PriceVariant, TierRow, TokenPrices
from app.catalog.rates import decimal_rates
from app.catalog.schema import (
    Capabilities,
    ContextTier,
    Downgrades,
    Lifecycle,
    Model,
    Override,
    Provider,
)
from app.errors import RegistryError


class Sources(msgspec.Struct, frozen=True):
    """Everything a catalog is built from. `models` and `overrides` are the checked TOML rows."""

    registry_dir: Path
    providers: Mapping[str, Provider]
    models: Mapping[str, Sequence[ModelRow]]
    overrides: Sequence[OverrideRow]
    price_list: PriceList
    policy: Mapping[str, Any]
    team: Sequence[Override] = ()


Name = tuple[str, str]
"""(provider id, model id)."""


def build_models(sources: Sources) -> dict[Name, Model]:
    """Every model by name, sorted by provider order, then id. Raises RegistryError for a reference to nothing."""
    facts = _Facts(sources)
    order = {provider: place for place, provider in enumerate(sources.providers)}
    names = sorted({*facts.listed, *facts.rows, *facts.mended}, key=lambda name: (order.get(name[0], len(order)), name))
    return {name: _model(name, facts) for name in names}


def price_layers(sources: Sources, name: Name) -> list[list[LayerPrice]]:
    """The layers of one model's prices below the team's own, highest first."""
    return _Facts(sources).layers(name)


class _Facts:
    """What the sources say of each model: its entry in the price list, its row, its overrides."""

    def __init__(self, sources: Sources) -> None:
        source = sources.price_list.source
        self.listed = {(entry.provider, entry.id): entry for entry in sources.price_list.models}
        self.rows = {(provider, row.id): row for provider, rows in sources.models.items() for row in rows}
        self.mended: dict[Name, list[LayerPrice]] = {}
        for override in sources.overrides:
            prefix = f"overrides:{override.provider}/{override.model}"
            prices = self.mended.setdefault((override.provider, override.model), [])
            prices.extend(_hand_kept(prefix, override.price))
        self._source = f"{source.name} {source.version}"
        self._checked = sources.price_list.generated_on

    def layers(self, name: Name) -> list[list[LayerPrice]]:
        provider, model = name
        row = self.rows.get(name)
        own = list(_hand_kept(f"models:{provider}/{model}", row.price)) if row else []
        entry = self.listed.get((provider, row.price_of)) if row and row.price_of else self.listed.get(name)
        if row and row.price_of and entry is None:
            problem = f"price_of names {row.price_of}, which the price list has not"
            raise RegistryError(f"models/{provider}.toml", model, problem)
        generated = list(_generated(entry, self._source, self._checked)) if entry else []
        return [self.mended.get(name, []), own, generated]


def _model(name: Name, facts: _Facts) -> Model:
    provider, model = name
    row, entry = facts.rows.get(name), facts.listed.get(name)
    prices = merge_layers(facts.layers(name))
    if row is None:
        return Model(
            provider=provider,
            id=model,
            aliases=entry.aliases if entry else (),
            mode=_mode_by_units(entry),
            prices=prices,
            lifecycle=Lifecycle(status="unknown"),
        )
    return Model(
        provider=provider,
        id=model,
        aliases=_aliases(row, entry),
        mode=row.mode or _mode_by_units(entry),
        prices=prices,
        lifecycle=_lifecycle(row.lifecycle),
        capabilities=_capabilities(row.capabilities),
        routing_target=row.routing_target,
        listed=_downgrades(row.listed),
        living=_downgrades(row.living),
        served=row.served,
    )


def _generated(entry: TokenPrices, source: str, checked: date) -> Iterator[LayerPrice]:
    rows: Sequence[PricePeriod | PriceVariant] = (*entry.prices, *entry.variants)
    for row in rows:
        yield LayerPrice(
            prefix=f"genai-prices:{entry.provider}/{entry.id}",
            rates=decimal_rates(row.rates),
            starts=row.starts,
            tiers=_tiers(row.tiers),
            when=row.when if isinstance(row, PriceVariant) else {},
            source=source,
            checked=checked,
        )


def _hand_kept(prefix: str, rows: Sequence[PriceRow]) -> Iterator[LayerPrice]:
    for row in rows:
        yield LayerPrice(
            prefix=prefix,
            rates=decimal_rates(row.rates),
            starts=row.starts,
            until=row.until,
            tiers=_tiers(row.tiers),
            when=row.when,
            source=row.source,
            checked=row.checked,
        )


def _tiers(rows: Sequence[TierRow]) -> tuple[ContextTier, ...]:
    return tuple(ContextTier(row.over_input_tokens, decimal_rates(row.rates)) for row in rows)


def _aliases(row: ModelRow, entry: TokenPrices | None) -> tuple[str, ...]:
    listed = entry.aliases if entry else ()
    return tuple(dict.fromkeys((*row.aliases, *(name for name in listed if name not in row.not_aliases))))


def _mode_by_units(entry: TokenPrices | None) -> str:
    """What a model without a row is for, as far as its units show it."""
    units = set(entry.prices[-1].rates) if entry and entry.prices else set()
    if "input_mchars" in units:
        return "audio_speech"
    if units & {"audio_hours", "input_audio_hours"}:
        return "audio_transcription"
    return "chat"


def _lifecycle(row: LifecycleRow | None) -> Lifecycle:
    if row is None:
        return Lifecycle(status="unknown")
    return Lifecycle(row.status, row.ends, row.replacement, row.source, row.checked)


def _capabilities(row: CapabilitiesRow | None) -> Capabilities:
    return Capabilities(**msgspec.structs.asdict(row)) if row else Capabilities()


def _downgrades(row: DowngradesRow | None) -> Downgrades | None:
    return Downgrades(row.conservative, row.moderate, row.aggressive) if row else None
