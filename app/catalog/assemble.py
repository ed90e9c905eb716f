"""Builds the models of the catalog from what the files, the price list and the team say."""

from collections.abc import Iterator, Mapping, Sequence
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
    listed = {(model.provider, model.id): model for model in sources.price_list.models}
    rows = {(provider, row.id): row for provider, rows in sources.models.items() for row in rows}
    mended: dict[Name, list[LayerPrice]] = {}
    for override in sources.overrides:
        prefix = f"overrides:{override.provider}/{override.model}"
        mended.setdefault((override.provider, override.model), []).extend(_hand_kept(prefix, override.price))
    order = {provider: place for place, provider in enumerate(sources.providers)}
    names = sorted({*listed, *rows, *mended}, key=lambda name: (order.get(name[0], len(order)), name))
    return {name: _model(name, rows.get(name), listed, mended.get(name, [])) for name in names}


def price_layers(sources: Sources, name: Name) -> list[list[LayerPrice]]:
    """The layers of one model's prices below the team's own, highest first."""
    provider, model = name
    listed = {(entry.provider, entry.id): entry for entry in sources.price_list.models}
    row = next((row for row in sources.models.get(provider, ()) if row.id == model), None)
    mended = [
        price
        for override in sources.overrides
        if (override.provider, override.model) == name
        for price in _hand_kept(f"overrides:{provider}/{model}", override.price)
    ]
    return _layers(name, row, listed, mended)


def _model(name: Name, row: ModelRow | None, listed: Mapping[Name, TokenPrices], mended: Sequence[LayerPrice]) -> Model:
    provider, model = name
    entry = listed.get(name)
    prices = merge_layers(_layers(name, row, listed, mended))
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


def _layers(
    name: Name, row: ModelRow | None, listed: Mapping[Name, TokenPrices], mended: Sequence[LayerPrice]
) -> list[list[LayerPrice]]:
    provider, model = name
    own = list(_hand_kept(f"models:{provider}/{model}", row.price)) if row else []
    priced_as = (provider, row.price_of) if row and row.price_of else name
    if row and row.price_of and priced_as not in listed:
        raise RegistryError(
            f"models/{provider}.toml", model, f"price_of names {row.price_of}, which the price list has not"
        )
    return [list(mended), own, list(_generated(listed[priced_as])) if priced_as in listed else []]


def _generated(entry: TokenPrices) -> Iterator[LayerPrice]:
    rows: Sequence[PricePeriod | PriceVariant] = (*entry.prices, *entry.variants)
    for row in rows:
        yield LayerPrice(
            prefix=f"genai-prices:{entry.provider}/{entry.id}",
            rates=decimal_rates(row.rates),
            starts=row.starts,
            tiers=_tiers(row.tiers),
            when=row.when if isinstance(row, PriceVariant) else {},
            source="genai-prices",
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
