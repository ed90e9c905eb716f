"""Task and prompt length say how far down; reasoning is closed whatever anybody writes; guesses go one step at most."""

import pytest

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.domain import Usage
from app.recommendation.policy import guess_task, level_of, permission
from tests.recommendation.traffic import equal_requests, usage

TABLE = {
    "classification": ("aggressive", "aggressive"),
    "extraction": ("aggressive", "moderate"),
    "summarisation": ("moderate", "conservative"),
    "generation": ("conservative", "conservative"),
    "reasoning": ("never", "never"),
    "untagged": ("conservative", "conservative"),
}


@pytest.mark.parametrize(("task", "levels"), TABLE.items())
def test_the_levels_are_the_product_s(shipped: Catalog, task: str, levels: tuple[str, str]) -> None:
    assert (level_of(shipped.policy, task, long=False), level_of(shipped.policy, task, long=True)) == levels


def test_no_file_can_open_reasoning() -> None:
    opened = {"task": [{"name": "reasoning", "short": "aggressive", "long": "aggressive", "reason": "a mistake"}]}
    assert level_of(opened, "reasoning", long=False) == "never"
    assert level_of(opened, "reasoning", long=True) == "never"


def test_no_signal_opens_reasoning(shipped: Catalog) -> None:
    group = equal_requests(shipped, "gpt-4o", usage(500, 5), task="reasoning")
    found = permission(shipped.policy, group)
    assert (found.level, found.tag_source) == ("never", "header")


def test_a_task_that_is_none_has_no_influence(shipped: Catalog) -> None:
    group = equal_requests(shipped, "gpt-4o", usage(500, 300), task="poetry")
    assert permission(shipped.policy, group).tag_source == "none"


@pytest.mark.parametrize(
    ("one", "used", "guess"),
    [
        (usage(400, 12), (), "classification"),
        (usage(40, 12), (), None),
        (usage(8000, 1500), (), "summarisation"),
        (usage(8000, 2500), (), None),
        (usage(400, 300), (), None),
        (usage(400, 300), ("reasoning",), "reasoning"),
        (usage(400, 300, reasoning=200), (), "reasoning"),
    ],
)
def test_heuristics_guess_from_sizes(shipped: Catalog, one: Usage, used: tuple[str, ...], guess: str | None) -> None:
    group = equal_requests(shipped, "gpt-4o", one, task=None, used=used)
    assert guess_task(shipped.policy, group) == guess
    found = permission(shipped.policy, group)
    assert found.level == ("never" if guess == "reasoning" else "conservative")
    assert found.tag_source == ("none" if guess is None else "heuristics")


@pytest.mark.parametrize("used", ["tools", "images", "json_schema"])
def test_a_conservative_step_asks_for_agreeing_signals(shipped: Catalog, used: str) -> None:
    short = usage(400, 100)
    calm = equal_requests(shipped, "gpt-4o", short, task="generation")
    assert permission(shipped.policy, calm).against == ()
    busy = equal_requests(shipped, "gpt-4o", short, task="generation", used=(used,))
    assert len(permission(shipped.policy, busy).against) == 1


def test_long_answers_and_failures_speak_against_a_conservative_step(shipped: Catalog) -> None:
    limit = int(threshold(shipped.policy, "short_answer_output_tokens"))
    at, over = (equal_requests(shipped, "gpt-4o", usage(400, n), task="generation") for n in (limit, limit + 1))
    assert permission(shipped.policy, at).against == ()
    assert permission(shipped.policy, over).against
    rare, often = (
        equal_requests(shipped, "gpt-4o", usage(400, 10), task="generation", all_requests=1000, failed=failed)
        for failed in (50, 51)
    )
    assert permission(shipped.policy, rare).against == ()
    assert permission(shipped.policy, often).against == ("51 of 1000 requests failed",)


def test_signals_do_not_hold_back_an_aggressive_task(shipped: Catalog) -> None:
    group = equal_requests(shipped, "gpt-4o", usage(400, 900), task="classification", used=("tools",))
    assert permission(shipped.policy, group).against == ()
