"""Of every model in the registry, with any task and size: what is advised is always safe to follow."""

import itertools
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.catalog.catalog import Catalog
from app.domain import TASKS
from app.recommendation.advice import advise
from app.recommendation.candidates import candidates, lacking
from app.recommendation.savings import saving
from app.recommendation.traffic import fits
from tests.recommendation.traffic import TODAY, equal_requests, pricer, usage

SIZES = (usage(300, 8), usage(300, 8, cached=5000), usage(5000, 150), usage(60_000, 90), usage(150_000, 90))
USES = ((), ("tools",), ("images", "json_schema"), ("reasoning",), ("audio",), ("files",))
DAYS = (date(2024, 6, 1), date(2026, 9, 1), TODAY, date(2027, 1, 14), date(2027, 6, 1))


def _priced_models(catalog: Catalog) -> list[tuple[str, str]]:
    return [
        (model.provider, model.id)
        for model in catalog.models
        if model.served and model.mode == "chat" and catalog.price_at(model.provider, model.id, TODAY) is not None
    ]


def test_the_way_down_ends_and_stays_with_the_provider(shipped: Catalog) -> None:
    lengths = set()
    for model in shipped.models:
        found = candidates(shipped, model, "aggressive")
        ids = [candidate.model.id for candidate in found]
        assert all(candidate.model.provider == model.provider for candidate in found)
        assert len(set(ids)) == len(ids)
        assert model.id not in ids
        lengths.add(len(ids))
    assert max(lengths) >= 3


def test_each_level_reaches_further_than_the_one_before(shipped: Catalog) -> None:
    opus = shipped.find("claude-3-opus-20240229", "anthropic")
    assert opus is not None
    allowed = {
        level: [c.model.id for c in candidates(shipped, opus, level) if c.allowed]
        for level in ("never", "conservative", "moderate", "aggressive")
    }
    assert allowed["never"] == []
    assert allowed["conservative"] == allowed["moderate"] == ["claude-3-5-sonnet-20241022"]
    assert allowed["aggressive"][-1] == "claude-3-5-haiku-20241022"
    newer = shipped.find("claude-opus-4-5", "anthropic")
    assert newer is not None
    moderate = [c.model.id for c in candidates(shipped, newer, "moderate") if c.allowed]
    assert moderate == ["claude-opus-5-5", "claude-sonnet-5-5"]


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_nothing_advised_is_ever_unsafe(shipped: Catalog, day: date) -> None:
    advised = 0
    price = pricer(shipped, day)
    tasks = itertools.cycle((*TASKS, None))
    kept = []  # slices must outlive the pricer's memory of them
    for (provider, name), one in itertools.product(_priced_models(shipped), SIZES):
        for used in USES:
            task = next(tasks)
            group = equal_requests(shipped, name, one, 60, provider=provider, used=used, task=task)
            kept.append(group)
            found = advise(shipped, group, price, day)
            if found.chosen is None:
                continue
            advised += 1
            target, sums = found.chosen.target, found.chosen.saving
            assert sums is not None
            assert task != "reasoning"
            assert target.provider == provider
            assert target.id != name
            assert target.lifecycle.alive_on(day)
            assert shipped.price_at(provider, target.id, day) is not None
            assert sums.candidate_picousd < sums.current_picousd
            assert lacking(target, group) == ()
            assert fits(target.capabilities, one.total_input_tokens + one.output_tokens, one.output_tokens)
            if task is None:
                assert found.confidence is not None
                assert found.confidence.level in ("medium", "low", None)
            soon = target.lifecycle.ends is not None and target.lifecycle.ends <= day + timedelta(days=90)
            assert (found.chosen.ends is not None) == soon
            assert all(verdict.why_not for verdict in found.rejected)
    assert advised > 0 or day > TODAY


def test_a_model_against_itself_is_exactly_nothing(shipped: Catalog) -> None:
    looked_at = 0
    for provider, name in _priced_models(shipped):
        model = shipped.find(name, provider)
        assert model is not None
        if not fits(model.capabilities, 350_000, 777):
            continue
        for one in (usage(301, 77, cached=1234), usage(349_000, 777)):
            group = equal_requests(shipped, name, one, 997, provider=provider)
            found = saving(group, model, pricer(shipped), Decimal(0))
            assert (found.saved_picousd, found.moved, found.kept) == (0, 997, 0)
            assert found.current_picousd == found.recorded_picousd
            looked_at += 1
    assert looked_at > 20
