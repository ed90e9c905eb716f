"""What ends when among the models in use, and what a model that ends soon leaves its users to pay."""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.catalog.schema import Model
from app.recommendation.candidates import lacking
from app.recommendation.savings import Saving, saving
from app.recommendation.traffic import Group, Pricing


class Retirement(msgspec.Struct, frozen=True):
    """A group's own model ends: on which day, what may take its place, and what that would have cost.

    `named_by` is `provider` or, where the provider names none, `registry`: its nearest downgrade among today's models.
    `saving` is None where there is none, or it has no price or fits no request; `lacks` is what it lacks.
    """

    ends: date
    replacement: str | None
    named_by: str | None
    saving: Saving | None
    lacks: tuple[str, ...]


class Ending(msgspec.Struct, frozen=True):
    """A model in use with an end: how many requests and how much money of the window depend on it."""

    provider: str
    model: str
    ends: date
    over: bool
    replacement: str | None
    requests: int
    recorded_picousd: int


def retirement(catalog: Catalog, group: Group, price: Pricing, on: date) -> Retirement | None:
    """The end of the group's own model, if that is past or within the policy's quarter."""
    ends = group.source.lifecycle.ends
    if ends is None or ends > on + timedelta(days=int(threshold(catalog.policy, "ends_within_days"))):
        return None
    name, named_by = _replacement(group.source)
    target = catalog.find(name, group.source.provider) if name is not None else None
    if target is None or not target.lifecycle.alive_on(on):
        return Retirement(ends, name, named_by, None, ())
    found = saving(group, target, price, threshold(catalog.policy, "output_range"))
    return Retirement(ends, target.id, named_by, found if found.moved else None, lacking(target, group))


def _replacement(source: Model) -> tuple[str | None, str | None]:
    if source.lifecycle.replacement is not None:
        return source.lifecycle.replacement, "provider"
    if source.living is not None and source.living.conservative is not None:
        return source.living.conservative, "registry"
    return None, None


def calendar(groups: Iterable[Group], on: date) -> list[Ending]:
    """Every model in use that has an end, soonest first."""
    sums: dict[tuple[str, str], tuple[Model, int, int]] = {}
    for group in groups:
        key = (group.provider, group.source.id)
        model, requests, money = sums.get(key, (group.source, 0, 0))
        sums[key] = (model, requests + group.requests, money + group.recorded_picousd)
    found = [
        Ending(provider, name, ends, ends <= on, model.lifecycle.replacement, requests, money)
        for (provider, name), (model, requests, money) in sums.items()
        if (ends := model.lifecycle.ends) is not None
    ]
    return sorted(found, key=lambda ending: (ending.ends, ending.provider, ending.model))
