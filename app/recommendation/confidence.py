"""How sure an advice is: enough data at all, then high, medium or low, with each reason in words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.catalog.policy import threshold
from app.recommendation.policy import HEADER, HEURISTICS, NO_TAG
from app.recommendation.traffic import Group

HIGH, MEDIUM, LOW = "high", "medium", "low"
_ORDER = (LOW, MEDIUM, HIGH)


class Confidence(msgspec.Struct, frozen=True):
    """`level` is None under the floor, and then `missing` says what is not enough ("12 of 50 requests")."""

    level: str | None
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()


def coverage(group: Group) -> Decimal:
    """Share of the billable requests of this feature, task and model that could be priced anew."""
    return Decimal(group.usable) / group.billable if group.billable else Decimal(0)


def confidence(policy: Mapping[str, Any], group: Group, tag_source: str, *, estimate: bool) -> Confidence:
    """From the tag's source, how many requests on how many days, how evenly spread, and how many had a price."""
    missing = missing_data(policy, group)
    if missing:
        return Confidence(None, (), missing)
    caps: list[tuple[str, str]] = []
    if tag_source == HEURISTICS:
        caps.append((MEDIUM, "the task is a guess from the shape of the requests"))
    if tag_source == NO_TAG:
        caps.append((LOW, "no task is known"))
    if estimate:
        caps.append((MEDIUM, "one model reasons and the other does not, so token counts will differ"))
    caps += _data_caps(policy, group)
    level = min((cap for cap, _ in caps), key=_ORDER.index, default=HIGH)
    reasons = [words for _, words in caps]
    if tag_source == HEADER:
        reasons.insert(0, "the task was sent with the requests")
    reasons.append(f"{group.requests:,} requests on {group.days} days, {coverage(group) * 100:.0f} % of them priced")
    return Confidence(level, tuple(reasons))


def missing_data(policy: Mapping[str, Any], group: Group) -> tuple[str, ...]:
    """What keeps a group under the floor, each as "12 of 50 requests"; empty where there is enough."""
    found = []
    for have, floor, unit in (
        (group.requests, threshold(policy, "minimum_requests"), "requests"),
        (group.days, threshold(policy, "minimum_days"), "days"),
    ):
        if have < floor:
            found.append(f"{have:,} of {floor} {unit}")
    needed = threshold(policy, "minimum_coverage")
    if coverage(group) < needed:
        found.append(f"{group.usable:,} of {group.billable:,} requests priced, {needed * 100:.0f} % are needed")
    return tuple(found)


def _data_caps(policy: Mapping[str, Any], group: Group) -> list[tuple[str, str]]:
    caps = []
    if group.requests < threshold(policy, "high_confidence_requests"):
        caps.append((MEDIUM, f"only {group.requests:,} requests"))
    if group.days < threshold(policy, "minimum_days_for_month"):
        caps.append((LOW, f"only {group.days} days"))
    elif group.days < threshold(policy, "high_confidence_days"):
        caps.append((MEDIUM, f"only {group.days} days"))
    share = threshold(policy, "high_confidence_day_share")
    if group.top_day_picousd > share * group.recorded_picousd:
        caps.append((MEDIUM, f"one day holds more than {share * 100:.0f} % of the spend"))
    return caps
