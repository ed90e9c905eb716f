"""One group's advice: the target that policy, traffic, prices and lifecycles allow, and why not each of the others."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.catalog.schema import Model
from app.domain import PICOUSD_PER_USD
from app.recommendation.candidates import Candidate, candidates, lacking, status_words
from app.recommendation.confidence import HIGH, LOW, MEDIUM, Confidence, confidence
from app.recommendation.discounts import Discount, Tiering, discounts
from app.recommendation.lifecycles import Retirement, retirement
from app.recommendation.policy import NEVER, Permission, permission
from app.recommendation.savings import Saving, saving
from app.recommendation.traffic import Group, Pricing

QUALITY = "not measured"
OFF_THE_WAY = -1
"""The step of a target that no downgrade leads to: it can be asked about and is never advised."""


class Verdict(msgspec.Struct, frozen=True):
    """One cheaper model against a group: `why_not` is empty where it is viable; `saving` None where unpriced."""

    target: Model
    allowed: bool
    saving: Saving | None
    why_not: tuple[str, ...]
    flags: tuple[str, ...]
    ends: date | None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What is advised to one group, or why nothing is. `chosen` None: no advice. `rejected` are all other targets.

    `ranked` is False for what is shown and never counted: too little data, a tiny saving, one that may turn negative.
    """

    id: str
    group: Group
    permission: Permission
    confidence: Confidence | None
    chosen: Verdict | None
    rejected: tuple[Verdict, ...]
    ranked: bool
    retirement: Retirement | None
    discounts: tuple[Discount, ...] = ()

    @property
    def group_id(self) -> str:
        """The same for the same group, whatever is advised to it."""
        return group_id(self.group)

    @property
    def certain_picousd(self) -> int:
        """The low end of the saving, weighed by confidence: what cards are ranked by."""
        if self.chosen is None or self.chosen.saving is None or self.confidence is None:
            return 0
        weight = {HIGH: 4, MEDIUM: 2, LOW: 1}.get(self.confidence.level or "", 0)
        return self.chosen.saving.low_picousd * weight // 4


class Headline(msgspec.Struct, frozen=True):
    """One swap for each group: `saved` sums the ranked advice, `current` what those groups cost."""

    groups: int
    advised: int
    requests: int
    current_picousd: int
    saved_picousd: int
    low_picousd: int
    high_picousd: int


def advice_id(provider: str, model: str, feature: str | None, task: str | None, *, long: bool, target: str) -> str:
    """The same for the same group and target, on any day and in any process."""
    parts = msgspec.json.encode((provider, model, feature, task, long, target))
    return hashlib.sha256(parts).hexdigest()[:20]


def advise(catalog: Catalog, group: Group, price: Pricing, on: date, tier: Tiering | None = None) -> Advice:
    """What this group should try, as of a day; with `tier` also what other ways to pay would have saved."""
    policy = catalog.policy
    allowed = permission(policy, group)
    found = candidates(catalog, group.source, allowed.level)
    verdicts = [judge(policy, group, candidate, allowed, price, on) for candidate in found]
    viable = [verdict for verdict in verdicts if not verdict.why_not]
    # What ends soon ranks below what lasts, however far down the latter is.
    chosen = next(iter([v for v in reversed(viable) if v.ends is None] + viable[::-1]), None)
    sure = None
    if chosen is not None:
        sure = confidence(policy, group, allowed.tag_source, estimate="estimate" in chosen.flags)
    others = tuple(_passed_over(verdict, chosen) for verdict in verdicts if verdict is not chosen)
    unranked = {"tiny", "may_cost_more"}
    return Advice(
        id=_id(group, chosen.target.id if chosen else ""),
        group=group,
        permission=allowed,
        confidence=sure,
        chosen=chosen,
        rejected=others,
        ranked=chosen is not None and sure is not None and sure.level is not None and not unranked & set(chosen.flags),
        retirement=retirement(catalog, group, price, on),
        discounts=() if tier is None else discounts(catalog, group, price, tier, on),
    )


def group_id(group: Group) -> str:
    """Names a group, whatever is advised to it."""
    return _id(group, "")


def _id(group: Group, target: str) -> str:
    return advice_id(group.provider, group.model, group.feature, group.task, long=group.long, target=target)


def judge(
    policy: Mapping[str, Any],
    group: Group,
    candidate: Candidate,
    allowed: Permission,
    price: Pricing,
    on: date,
    *,
    asked: bool = False,
) -> Verdict:
    """Everything that speaks against one target, with what it would have cost where that can be said."""
    target = candidate.model
    why_not = list(_dead_or_lacking(target, group, on))
    # What can never be advised is not priced, unless somebody asks for it.
    worth_pricing = asked or not (why_not or allowed.level == NEVER)
    priced = _saving(policy, group, target, price) if worth_pricing else None
    if priced is None and worth_pricing:
        why_not.append(f"has no price on {on}, or no request fits it")
    elif priced is not None and priced.saved_picousd <= 0:
        more = "costs the same" if priced.saved_picousd == 0 else f"costs {-priced.percent} % more"
        why_not.append(f"{more} on these requests")
    if allowed.level == NEVER:
        why_not.append(allowed.reason)
    elif candidate.step == OFF_THE_WAY:
        same = target.id == group.source.id
        why_not.append("is the model in use" if same else f"is no downgrade of {group.source.id} in the registry")
    elif not candidate.allowed:
        why_not.append(f"is further down than {allowed.level} goes")
    else:
        why_not += allowed.against
    flags = () if priced is None else _flags(policy, group, target, priced)
    ends = target.lifecycle.ends
    soon = ends is not None and ends <= on + timedelta(days=int(threshold(policy, "ends_within_days")))
    return Verdict(target, candidate.allowed, priced, tuple(why_not), flags, ends if soon else None)


def what_if(catalog: Catalog, group: Group, target: Model, price: Pricing, on: date) -> Verdict:
    """Any target of the same provider against a group, whether advised or not."""
    allowed = permission(catalog.policy, group)
    step = next((c for c in candidates(catalog, group.source, allowed.level) if c.model.id == target.id), None)
    return judge(catalog.policy, group, step or Candidate(target, OFF_THE_WAY, False), allowed, price, on, asked=True)


def _dead_or_lacking(target: Model, group: Group, on: date) -> tuple[str, ...]:
    dead = () if target.lifecycle.alive_on(on) else (f"is {status_words(target.lifecycle, on)}",)
    return (*dead, *lacking(target, group))


def _saving(policy: Mapping[str, Any], group: Group, target: Model, price: Pricing) -> Saving | None:
    found = saving(group, target, price, threshold(policy, "output_range"))
    return found if found.moved else None


def _flags(policy: Mapping[str, Any], group: Group, target: Model, found: Saving) -> tuple[str, ...]:
    flags = set(found.flags)
    monthly = Decimal(found.per_month(group.span_days)) / PICOUSD_PER_USD
    tiny = found.share < threshold(policy, "minimum_saving_share")
    if found.saved_picousd < 0:
        flags.add("costs_more")
    elif tiny or monthly < threshold(policy, "minimum_saving_usd_per_month"):
        flags.add("tiny")
    if found.saved_picousd > 0 and found.low_picousd <= 0:
        flags.add("may_cost_more")
    if group.source.capabilities.reasoning is not target.capabilities.reasoning:
        flags.add("estimate")
    if any(part.usage.cache_read_input_tokens for part in group.slices):
        flags.add("cold_cache")
    if found.kept:
        flags.add("some_do_not_fit")
    if group.provider != group.source.provider:
        flags.add("needs_deployment")
    return tuple(sorted(flags))


def _passed_over(verdict: Verdict, chosen: Verdict | None) -> Verdict:
    if verdict.why_not or chosen is None:
        return verdict
    why = f"ends on {verdict.ends}" if verdict.ends else f"{chosen.target.id} is as allowed, and further down"
    return msgspec.structs.replace(verdict, why_not=(why,))


def headline(found: Sequence[Advice]) -> Headline:
    """The ranked advice summed up; each group is in it once, with the one swap that it is advised."""
    swaps = [advice.chosen.saving for advice in found if advice.ranked and advice.chosen and advice.chosen.saving]
    return Headline(
        groups=len(found),
        advised=len(swaps),
        requests=sum(swap.requests for swap in swaps),
        current_picousd=sum(swap.current_picousd for swap in swaps),
        saved_picousd=sum(swap.saved_picousd for swap in swaps),
        low_picousd=sum(swap.low_picousd for swap in swaps),
        high_picousd=sum(swap.high_picousd for swap in swaps),
    )


def ranking(advice: Advice) -> tuple[bool, bool, int, str]:
    """Sort key: ranked first, lasting targets before ending ones, then the money that is certain."""
    ends = advice.chosen is None or advice.chosen.ends is not None
    return (not advice.ranked, ends, -advice.certain_picousd, advice.id)
