"""How far down the requests of a group may go: by task and prompt length, and for untagged traffic by heuristics."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.catalog.policy import threshold
from app.domain import TASKS
from app.recommendation.traffic import Group

PROTECTED = frozenset(("reasoning",))
"""Tasks that no setting, signal or registry file opens for advice."""

NEVER, CONSERVATIVE, MODERATE, AGGRESSIVE = "never", "conservative", "moderate", "aggressive"
HEADER, HEURISTICS, NO_TAG = "header", "heuristics", "none"


class Permission(msgspec.Struct, frozen=True):
    """How far a group may go. `against` are the signals that speak against even one step; then nothing is advised."""

    task: str
    tag_source: str
    level: str
    against: tuple[str, ...]
    reason: str


def level_of(policy: Mapping[str, Any], task: str, *, long: bool) -> str:
    """The level of policy.toml's table, `never` for protected tasks and for those it does not have."""
    if task in PROTECTED:
        return NEVER
    for row in policy.get("task", ()):
        if row["name"] == task:
            return str(row["long" if long else "short"])
    return NEVER


def task_reason(policy: Mapping[str, Any], task: str) -> str:
    """Why this task may go as far down as it may, in the words of policy.toml."""
    return next((str(row["reason"]) for row in policy.get("task", ()) if row["name"] == task), "")


def guess_task(policy: Mapping[str, Any], group: Group) -> str | None:
    """What untagged requests are probably for, from sizes and from what they used; None = nothing shows it."""
    count = group.requests
    if not count:
        return None
    if "reasoning" in {name for part in group.slices for name in part.used}:
        return "reasoning"
    if group.reasoning_tokens > threshold(policy, "reasoning_share") * group.output_tokens:
        return "reasoning"
    answer, prompt = group.output_tokens / count, group.input_tokens / count
    if answer <= threshold(policy, "label_answer_output_tokens") and prompt >= threshold(
        policy, "label_prompt_input_tokens"
    ):
        return "classification"
    if group.long and group.output_tokens <= threshold(policy, "summary_ratio") * group.input_tokens:
        return "summarisation"
    return None


def permission(policy: Mapping[str, Any], group: Group) -> Permission:
    """What the policy allows this group, and from where its task is known."""
    if group.task in TASKS:
        task, source = group.task, HEADER
        level = level_of(policy, task, long=group.long)
    else:
        guessed = guess_task(policy, group)
        task, source = guessed or "untagged", HEURISTICS if guessed else NO_TAG
        level = NEVER if task in PROTECTED else _at_most_one_step(level_of(policy, "untagged", long=group.long))
    against = _signals_against(policy, group) if level == CONSERVATIVE else ()
    return Permission(task, source, level, against, _reason(task, source, level, against))


def _at_most_one_step(level: str) -> str:
    return level if level == NEVER else CONSERVATIVE


def _signals_against(policy: Mapping[str, Any], group: Group) -> tuple[str, ...]:
    used = group.used
    short = threshold(policy, "short_answer_output_tokens")
    found = []
    if group.output_tokens > short * group.requests:
        found.append(f"answers are longer than {short} tokens on average")
    found += [
        words
        for name, words in (
            ("tools", "tools are used"),
            ("images", "images are used"),
            ("json_schema", "a JSON schema is used"),
        )
        if name in used
    ]
    if group.failed > threshold(policy, "error_rate") * group.all_requests:
        found.append(f"{group.failed} of {group.all_requests} requests failed")
    return tuple(found)


def _reason(task: str, source: str, level: str, against: tuple[str, ...]) -> str:
    said = {
        HEADER: f"tagged {task}",
        HEURISTICS: f"untagged; looks like {task}",
        NO_TAG: "untagged, and nothing shows what the requests are for",
    }[source]
    if level == NEVER:
        return f"{said}: never moved to a cheaper model"
    if against:
        return f"{said}: {level}, but {', '.join(against)}"
    return f"{said}: {level}"
