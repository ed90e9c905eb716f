"""A team's own aliases and prices, laid over the registry. A bad one is refused when it is made."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from app.catalog.assemble import Name, Sources, price_layers
from app.catalog.layers import LayerPrice, merge_layers
from app.catalog.names import is_name, normalise
from app.catalog.rates import override_problem
from app.catalog.schema import Lifecycle, Model, Override
from app.errors import RegistryError, SameOverride

KINDS = ("alias", "price")


def apply_prices(sources: Sources, models: Mapping[Name, Model]) -> dict[Name, Model]:
    """`models` with the team's prices on top, and with the models that only the team prices.

    A price for a model that the provider borrows (azure) makes a model of that provider. Raises RegistryError.
    """
    check_overrides(sources)
    by_model: dict[Name, list[Override]] = {}
    for override in sources.team:
        if override.kind == "price":
            name = _priced_model(sources, models, override)
            by_model.setdefault(name, []).append(override)
    priced = dict(models)
    for name, overrides in by_model.items():
        priced[name] = _priced(sources, models, name, overrides)
    order = {provider: place for place, provider in enumerate(sources.providers)}
    return {name: priced[name] for name in sorted(priced, key=lambda name: (order.get(name[0], len(order)), name))}


def check_overrides(sources: Sources) -> None:
    """Raises RegistryError for the first override that is wrong by itself or contradicts another."""
    taken: dict[tuple[str, str, str, date | None], int] = {}
    for override in sources.team:
        problem = _problem(sources, override)
        if problem is not None:
            raise RegistryError("team overrides", str(override.id), problem)
        named = normalise(override.alias or "") if override.kind == "alias" else normalise(override.model)
        key = (override.kind, override.provider, named, override.starts if override.kind == "price" else None)
        if key in taken:
            raise SameOverride("team overrides", str(override.id), f"says the same as override {taken[key]}")
        taken[key] = override.id


def _problem(sources: Sources, override: Override) -> str | None:
    if override.kind not in KINDS:
        return f"kind must be alias or price, not {override.kind[:40]!r}"
    if override.provider not in sources.providers:
        return f"{override.provider[:40]!r} is no provider; known are {', '.join(sources.providers)}"
    if not is_name(normalise(override.model)):
        return f"{override.model[:40]!r} is no model name"
    if override.kind == "price":
        return override_problem(override.rates)
    if override.alias is None or not is_name(normalise(override.alias)):
        return f"{(override.alias or '')[:40]!r} is no alias: a name without spaces, at most 200 characters"
    if normalise(override.alias) == normalise(override.model):
        return "an alias of itself changes nothing"
    return None


def _priced_model(sources: Sources, models: Mapping[Name, Model], override: Override) -> Name:
    """The model whose price it is: an alias of a listed model means that model."""
    wanted = normalise(override.model)
    for provider in (override.provider, *sources.providers[override.provider].catalog_from):
        if (provider, wanted) in models:
            return (override.provider, wanted)
        for owner, model in models:
            if owner == provider and wanted in models[owner, model].aliases:
                return (override.provider, model)
    return (override.provider, wanted)


def _priced(sources: Sources, models: Mapping[Name, Model], name: Name, overrides: Sequence[Override]) -> Model:
    provider, model = name
    origin = next(
        ((owner, model) for owner in (provider, *sources.providers[provider].catalog_from) if (owner, model) in models),
        None,
    )
    base = models[origin] if origin else Model(provider=provider, id=model, lifecycle=Lifecycle(status="unknown"))
    team = [
        LayerPrice(
            prefix=f"team:{override.id}:{provider}/{model}",
            rates=dict(override.rates),
            starts=override.starts,
            source=f"team override {override.id}" + (f": {override.note}" if override.note else ""),
        )
        for override in overrides
    ]
    below = price_layers(sources, origin) if origin else []
    return msgspec.structs.replace(
        base,
        provider=provider,
        prices=merge_layers([team, *below]),
        routing_target=base.routing_target and origin == name,
        listed=base.listed if origin == name else None,
        living=base.living if origin == name else None,
        overridden=True,
        served=True,
    )
