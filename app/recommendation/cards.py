"""What every card of advice says, wherever it is shown."""

from collections.abc import Mapping
from typing import Any

from app.catalog.policy import threshold
from app.catalog.schema import Model
from app.recommendation.advice import Advice
from app.recommendation.savings import Saving
from app.recommendation.traffic import Group, Seen

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


def nothing_words(seen: Seen) -> str:
    """Why no group can be compared at all, in one sentence."""
    count = f"{seen.requests:,}"
    if not seen.requests:
        return "No request for text was recorded in these days."
    if not seen.billable:
        return f"None of the {count} requests of these days was billed: {seen.failed:,} of them failed."
    if seen.unknown and seen.unknown == seen.usable:
        return f"The registry knows the model of none of the {seen.usable:,} priced requests."
    if not seen.usable and seen.unpriced >= seen.billable:
        return f"None of the {seen.billable:,} billed requests has a price, so nothing can be compared."
    if not seen.usable and seen.estimated:
        return (
            f"{seen.estimated:,} requests ended before their usage came, so what they cost is estimated; "
            "advice is never made of estimates."
        )
    return f"None of the {seen.billable:,} billed requests has a price and the provider's own usage."


def difference_words(requests: int, found: Saving, target: str) -> str:
    """What a target would have cost, in plain words: less, the same or more."""
    if found.saved_picousd == 0:
        return f"On {target} these {requests:,} requests would have cost exactly the same."
    more = "less" if found.saved_picousd > 0 else "more"
    return f"On {target} these {requests:,} requests would have cost {abs(found.percent)} % {more}"


def assumptions(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """What the estimates of other ways to pay take for granted, as sentences."""
    low, high = (threshold(policy, f"repeated_prompt_share_{end}") * 100 for end in ("low", "high"))
    size, misses = threshold(policy, "long_prompt_input_tokens"), threshold(policy, "cache_miss_share") * 100
    return (
        f"Prompt caching: of prompts over {size:,} tokens, {low:.0f} to {high:.0f} % are assumed to be a beginning "
        f"that comes again; {misses:.0f} % of the time it has to be written anew. What was cached is taken off. "
        "Lectr sees no prompts, so how much really repeats is for you to say.",
        "Batch: answers come within a day, not at once. Counted are all requests that did not stream, at the "
        "provider's batch rates; how many could have waited is for you to say.",
        "Flex: the same model, slower, and now and then refused when the provider is busy. Counted are all requests "
        "that did not stream and had no tier of their own.",
    )


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
