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

    `soon` is within the policy's quarter, or past. `named_by` is `provider` or, where the provider names none,
    `registry`: its nearest downgrade among today's models. `saving` is None where there is none, or it has no price
    or fits no request; `lacks` is what it lacks.
    """

    ends: date
    soon: bool
    replacement: str | None
    named_by: str | None
    saving: Saving | None
    lacks: tuple[str, ...]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A model in use with an end: how many requests and how much money of the window depend on it.

    `current_picousd` at today's prices would have been `candidate_picousd` on the replacement, for `compared_requests`
    of them: those that do not fit it are in both at their present price; none are compared where it has no price.
    """

    provider: str
    model: str
    ends: date
    over: bool
    replacement: str | None
    named_by: str | None
    requests: int
    recorded_picousd: int
    compared_requests: int
    current_picousd: int
    candidate_picousd: int
    lacks: tuple[str, ...]


def retirement(catalog: Catalog, group: Group, price: Pricing, on: date) -> Retirement | None:
    """The end of the group's own model, None where none is known."""
    ends = group.source.lifecycle.ends
    if ends is None:
        return None
    soon = ends <= on + timedelta(days=int(threshold(catalog.policy, "ends_within_days")))
    name, named_by = _replacement(group.source)
    target = catalog.find(name, group.source.provider) if name is not None else None
    if target is None or not target.lifecycle.alive_on(on):
        return Retirement(ends, soon, name, named_by, None, ())
    found = saving(group, target, price, threshold(catalog.policy, "output_range"))
    return Retirement(ends, soon, target.id, named_by, found if found.moved else None, lacking(target, group))


def _replacement(source: Model) -> tuple[str | None, str | None]:
    if source.lifecycle.replacement is not None:
        return source.lifecycle.replacement, "provider"
    if source.living is not None and source.living.conservative is not None:
        return source.living.conservative, "registry"
    return None, None


def calendar(groups: Iterable[tuple[Group, Retirement | None]], on: date) -> list[Ending]:
    """Every model in use that has an end, soonest first, with what its replacement would have cost."""
    sums: dict[tuple[str, str], Ending] = {}
    for group, found in groups:
        if found is None:
            continue
        key = (group.provider, group.source.id)
        so_far = sums.get(key)
        ending = _ending(group, found, on)
        sums[key] = ending if so_far is None else _both(so_far, ending)
    return sorted(sums.values(), key=lambda ending: (ending.ends, ending.provider, ending.model))


def _ending(group: Group, found: Retirement, on: date) -> Ending:
    return Ending(
        provider=group.provider,
        model=group.source.id,
        ends=found.ends,
        over=found.ends <= on,
        replacement=found.replacement,
        named_by=found.named_by,
        requests=group.requests,
        recorded_picousd=group.recorded_picousd,
        compared_requests=0 if found.saving is None else found.saving.moved,
        current_picousd=0 if found.saving is None else found.saving.current_picousd,
        candidate_picousd=0 if found.saving is None else found.saving.candidate_picousd,
        lacks=found.lacks,
    )


def _both(one: Ending, other: Ending) -> Ending:
    return msgspec.structs.replace(
        one,
        requests=one.requests + other.requests,
        recorded_picousd=one.recorded_picousd + other.recorded_picousd,
        compared_requests=one.compared_requests + other.compared_requests,
        current_picousd=one.current_picousd + other.current_picousd,
        candidate_picousd=one.candidate_picousd + other.candidate_picousd,
        lacks=tuple(dict.fromkeys(one.lacks + other.lacks)),
    )
