"""What every card of advice says, wherever it is shown."""

from collections.abc import Mapping
from typing import Any

from app.catalog.policy import threshold
from app.catalog.schema import Model
from app.recommendation.advice import Advice
from app.recommendation.traffic import Group

FLAGS = {
    "cached_at_input_rate": "the target has no rate for cached input: it is priced at its full input rate",
    "cache_write_at_input_rate": "the target has no rate for cache writes: they are priced at its input rate",
    "cold_cache": "part of the input was cached; a switch starts with a cold cache, so the first requests cost more",
    "costs_more": "it would have cost more",
    "estimate": "one model reasons and the other does not: token counts will differ, so this is an estimate",
    "may_cost_more": "with answers a fifth longer it would cost more",
    "needs_deployment": "on Azure a deployment of the target is needed first",
    "price_by_base": "priced by the undated name of the model",
    "some_do_not_fit": "some requests do not fit the target and are counted at their present price",
    "tiny": "the saving is too small to be worth a change",
    "variant_unpriced": "the target has no price for this service tier: its standard price is used",
}
"""What each flag means, as a sentence."""


def monthly_picousd(policy: Mapping[str, Any], advice: Advice) -> int | None:
    """The saving of thirty such days; None where nothing is advised or the days are too few to draw a month from."""
    if advice.chosen is None or advice.chosen.saving is None or advice.confidence is None:
        return None
    if advice.confidence.level is None or advice.group.days < threshold(policy, "minimum_days_for_month"):
        return None
    return advice.chosen.saving.per_month(advice.group.span_days)


def change_line(group: Group, target: Model) -> str:
    """The one line to change in the program; Lectr itself rewrites no model."""
    if group.provider != group.source.provider:
        return f'model="{group.model}"  ->  the name of a deployment of {target.id}'
    return f'model="{group.model}"  ->  model="{target.id}"'
