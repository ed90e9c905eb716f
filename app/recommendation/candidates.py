"""Which cheaper models of the same provider come into question, and what speaks against each."""

from collections.abc import Iterator

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.schema import Downgrades, Model
from app.recommendation.policy import AGGRESSIVE, CONSERVATIVE, MODERATE, NEVER
from app.recommendation.table import status_words
from app.recommendation.traffic import Group

__all__ = ["Candidate", "candidates", "lacking", "status_words"]

_WORDS = {
    "tools": "tools",
    "parallel_tools": "parallel tool calls",
    "json_mode": "JSON mode",
    "json_schema": "JSON schemas",
    "images": "images",
    "audio": "audio",
    "reasoning": "reasoning",
}


class Candidate(msgspec.Struct, frozen=True):
    """A model further down. `allowed`: the group's level reaches it; `step` counts from 0 in downward order."""

    model: Model
    step: int
    allowed: bool


def candidates(catalog: Catalog, source: Model, level: str) -> list[Candidate]:
    """Every model that the downgrades lead to, nearest first, each once. The way always ends."""
    reach = _allowed(source, level)
    found: list[Candidate] = []
    seen = {source.id}
    waiting = [source]
    while waiting:
        for target_id in _targets(waiting.pop(0)):
            target = catalog.find(target_id, source.provider)
            # A downgrade never crosses providers, whatever a file says.
            if target is None or target.provider != source.provider or target.id in seen:
                continue
            seen.add(target.id)
            found.append(Candidate(target, len(found), reach is None or target.id in reach))
            waiting.append(target)
    return found


def _targets(model: Model) -> Iterator[str]:
    for level in (CONSERVATIVE, MODERATE, AGGRESSIVE):
        for downgrades in (model.listed, model.living):
            target = getattr(downgrades or Downgrades(), level)
            if target is not None:
                yield target


def _allowed(source: Model, level: str) -> set[str] | None:
    """Ids that a level reaches from the source; None: all of them."""
    if level == AGGRESSIVE:
        return None
    if level == NEVER:
        return set()
    reached = (CONSERVATIVE, MODERATE) if level == MODERATE else (CONSERVATIVE,)
    steps = [getattr(d, name) for d in (source.listed, source.living) if d is not None for name in reached]
    return {step for step in steps if step is not None}


def lacking(target: Model, group: Group) -> tuple[str, ...]:
    """What the traffic used and the target has not, or is not known to have."""
    able = target.capabilities
    lost = []
    for name in sorted(group.used):
        has = getattr(able, name, None) if name in _WORDS else None
        if has is not True:
            words = _WORDS.get(name, name.replace("_", " "))
            lost.append(f"has no {words}" if has is False else f"is not known to have {words}")
    if able.context_tokens is None:
        lost.append("has no known context length")
    if able.max_output_tokens is None:
        lost.append("has no known output limit")
    return tuple(lost)
