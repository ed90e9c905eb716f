"""Golden scenarios as readable arithmetic, and each promise of the engine at the point where it would break."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.catalog.catalog import Catalog
from app.catalog.schema import Override
from app.domain import PICOUSD_PER_USD
from app.recommendation.advice import Advice, advise, headline, ranking, what_if
from app.recommendation.confidence import confidence
from app.recommendation.lifecycles import calendar
from app.recommendation.savings import saving
from app.recommendation.traffic import Group, fits
from tests.recommendation.traffic import TODAY, equal_requests, group_of, model_of, pricer, slice_of, usage

FIFTH = Decimal("0.20")


def advice_on(catalog: Catalog, group: Group, day: date = TODAY) -> Advice:
    return advise(catalog, group, pricer(catalog, day), day)


def usd(text: str) -> int:
    return int(Decimal(text) * PICOUSD_PER_USD)


def why_not(found: Advice) -> dict[str, str]:
    return {verdict.target.id: "; ".join(verdict.why_not) for verdict in found.rejected}


def test_classification_on_gpt_4o_goes_to_the_smallest(shipped: Catalog) -> None:
    # 10,000 x (400 in x $2.50 + 10 out x $10) per million = $11.00; at $0.10 and $0.50: $0.45.
    found = advice_on(shipped, equal_requests(shipped, "gpt-4o", usage(400, 10), 10_000))
    assert found.chosen is not None
    assert found.chosen.target.id == "gpt-6-luna"
    sums = found.chosen.saving
    assert sums is not None
    assert (sums.current_picousd, sums.candidate_picousd) == (usd("11.00"), usd("0.45"))
    assert sums.saved_picousd == usd("10.55")
    # A fifth of the answers' $0.05 either way.
    assert (sums.low_picousd, sums.high_picousd) == (usd("10.54"), usd("10.56"))
    # Nothing is saved once answers cost 11.00 - 0.40 = 10.60, which is 212 times 0.05.
    assert sums.break_even == Decimal("212.0")
    assert "estimate" in found.chosen.flags  # a plain model against one that reasons
    assert found.ranked
    assert "ends on 2027-01-14" in why_not(found)["gpt-4o-mini"]


def test_cached_input_is_priced_as_cached_input(shipped: Catalog) -> None:
    # 1,000 x (2,000 fresh x $3 + 6,000 cached x $0.30 + 100 x $15) per million = $9.30 on claude-sonnet-4-5;
    # at list price, all 8,000 as fresh input, it would have been $25.50.
    group = equal_requests(shipped, "claude-sonnet-4-5", usage(2000, 100, cached=6000), provider="anthropic")
    target = model_of(shipped, "anthropic", "claude-sonnet-5-5")
    found = saving(group, target, pricer(shipped), FIFTH)
    assert found.current_picousd == usd("9.30")
    # $2 fresh, $0.10 cached, $10 out: 4.00 + 0.60 + 1.00.
    assert found.candidate_picousd == usd("5.60")


def test_a_switch_with_cached_traffic_says_that_the_cache_starts_cold(shipped: Catalog) -> None:
    group = equal_requests(shipped, "claude-haiku-4-5", usage(800, 10, cached=100), provider="anthropic")
    found = advice_on(shipped, group)
    assert found.chosen is not None
    assert "cold_cache" in found.chosen.flags


def test_a_missing_cached_rate_is_the_input_rate_and_said(shipped: Catalog) -> None:
    dear = Override(
        1, "price", "openai", "gpt-6-luna", rates={"input_mtok": Decimal("0.10"), "output_mtok": Decimal("0.50")}
    )
    catalog = shipped.with_overrides([dear])
    group = equal_requests(catalog, "gpt-4o", usage(100, 10, cached=800), 1000)
    found = saving(group, model_of(catalog, "openai", "gpt-6-luna"), pricer(catalog), FIFTH)
    assert found.candidate_picousd == 1000 * (900 * 100_000 + 10 * 500_000)
    assert "cached_at_input_rate" in found.flags


def test_o1_mini_to_gpt_4o_costs_127_percent_more_and_is_never_advice(shipped: Catalog) -> None:
    day = date(2025, 6, 1)
    group = equal_requests(shipped, "o1-mini", usage(1000, 1000), task="extraction")
    seen = what_if(shipped, group, model_of(shipped, "openai", "gpt-4o"), pricer(shipped, day), day)
    assert seen.saving is not None
    assert seen.saving.percent == -127
    assert "costs_more" in seen.flags
    assert "costs 127 % more on these requests" in seen.why_not
    found = advice_on(shipped, group, day)
    assert found.chosen is None or found.chosen.target.id != "gpt-4o"
    assert "gpt-4o" in why_not(found)


def test_opus_3_goes_one_step_or_all_the_way_by_its_task(shipped: Catalog) -> None:
    day = date(2025, 1, 15)
    chosen = {}
    for task in ("generation", "classification"):
        group = equal_requests(shipped, "claude-3-opus-20240229", usage(500, 50), provider="anthropic", task=task)
        found = advice_on(shipped, group, day)
        assert found.chosen is not None
        chosen[task] = found.chosen.target.id
    assert chosen == {"generation": "claude-3-5-sonnet-20241022", "classification": "claude-3-5-haiku-20241022"}


def test_a_target_that_has_ended_is_no_advice_any_more(shipped: Catalog) -> None:
    group = equal_requests(shipped, "claude-3-opus-20240229", usage(500, 50), provider="anthropic")
    before, after = (advice_on(shipped, group, day) for day in (date(2025, 1, 15), date(2026, 2, 19)))
    assert before.chosen is not None
    assert after.chosen is None
    assert "retired on 2026-02-19" in why_not(after)["claude-3-5-haiku-20241022"]


def test_a_target_that_ends_soon_saves_until_then_and_ranks_below_lasting_ones(shipped: Catalog) -> None:
    group = equal_requests(shipped, "claude-3-opus-20240229", usage(500, 50), provider="anthropic")
    soon = advice_on(shipped, group, date(2025, 12, 1))
    assert soon.chosen is not None
    assert soon.chosen.ends == date(2026, 2, 19)
    lasting = advice_on(shipped, equal_requests(shipped, "gpt-4o", usage(400, 10), 100), TODAY)
    assert soon.certain_picousd > lasting.certain_picousd
    unflagged = msgspec.structs.replace(lasting, ranked=True)
    assert sorted([soon, unflagged], key=ranking) == [unflagged, soon]


def test_context_fits_exactly_at_the_limit(shipped: Catalog) -> None:
    able = model_of(shipped, "openai", "gpt-6-luna").capabilities
    assert able.context_tokens is not None
    assert able.max_output_tokens is not None
    assert fits(able, able.context_tokens, able.max_output_tokens)
    assert not fits(able, able.context_tokens + 1, able.max_output_tokens)
    assert not fits(able, able.context_tokens, able.max_output_tokens + 1)
    assert not fits(msgspec.structs.replace(able, context_tokens=None), 1, 1)


def test_rows_that_do_not_fit_are_counted_and_stay_at_their_price(shipped: Catalog) -> None:
    source = model_of(shipped, "gemini", "gemini-2.5-pro")
    target = model_of(shipped, "openai", "gpt-4o-mini")  # 128,000 context
    limit = 128_000
    fitting = slice_of(shipped, model_of(shipped, "openai", "gpt-4.1"), usage(limit - 10, 10), 60)
    over = slice_of(shipped, model_of(shipped, "openai", "gpt-4.1"), usage(limit - 9, 10), 5)
    assert source.provider != target.provider
    found = saving(group_of(shipped, "gpt-4.1", fitting, over), target, pricer(shipped), FIFTH)
    assert (found.moved, found.kept) == (60, 5)
    alone = saving(group_of(shipped, "gpt-4.1", fitting), target, pricer(shipped), FIFTH)
    assert found.saved_picousd == alone.saved_picousd
    assert found.candidate_picousd == alone.candidate_picousd + over.recorded_picousd


@pytest.mark.parametrize(
    ("used", "words"),
    [("audio", "audio"), ("files", "files"), ("reasoning", "reasoning"), ("something_new", "something new")],
)
def test_what_the_traffic_used_must_be_known_of_the_target(shipped: Catalog, used: str, words: str) -> None:
    group = equal_requests(shipped, "gpt-4.1", usage(400, 10), used=(used,))
    verdict = what_if(shipped, group, model_of(shipped, "openai", "gpt-4o-mini"), pricer(shipped), TODAY)
    assert any(words in reason for reason in verdict.why_not)


def test_a_tiny_saving_is_shown_and_not_ranked(shipped: Catalog) -> None:
    found = advice_on(shipped, equal_requests(shipped, "gpt-4o", usage(400, 10), 100))
    assert found.chosen is not None
    assert "tiny" in found.chosen.flags
    assert not found.ranked
    assert headline([found]).saved_picousd == 0


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, "high"),
        ({"days": 13}, "medium"),
        ({"days": 6}, "low"),
        ({"top_day_picousd": 10**15}, "medium"),
        ({"billable": 1100, "usable": 1000}, "high"),
        ({"billable": 1112, "usable": 1000}, None),
        ({"days": 2}, None),
    ],
)
def test_confidence_comes_from_days_spread_and_coverage(
    shipped: Catalog, changed: dict[str, Any], level: str | None
) -> None:
    group = equal_requests(shipped, "claude-haiku-4-5", usage(400, 10), 1000, provider="anthropic", **changed)
    assert confidence(shipped.policy, group, "header", estimate=False).level == level


def test_confidence_comes_from_the_tag_and_the_kind_of_model(shipped: Catalog) -> None:
    group = equal_requests(shipped, "claude-haiku-4-5", usage(400, 10), 1000, provider="anthropic")
    assert confidence(shipped.policy, group, "heuristics", estimate=False).level == "medium"
    assert confidence(shipped.policy, group, "none", estimate=False).level == "low"
    assert confidence(shipped.policy, group, "header", estimate=True).level == "medium"


def test_under_the_floor_it_says_how_much_is_missing(shipped: Catalog) -> None:
    found = advice_on(shipped, equal_requests(shipped, "gpt-4o", usage(400, 10), 49))
    assert found.confidence is not None
    assert found.confidence.level is None
    assert found.confidence.missing == ("49 of 50 requests",)
    assert not found.ranked


def test_the_headline_has_each_group_once(shipped: Catalog) -> None:
    opus = equal_requests(shipped, "claude-opus-4-5", usage(400, 10), 9000, provider="anthropic")
    found = advice_on(shipped, opus)
    assert found.chosen is not None
    assert found.chosen.saving is not None
    viable = [verdict for verdict in found.rejected if verdict.saving and verdict.saving.saved_picousd > 0]
    assert len(viable) == 2  # two more targets that save; none of them is added
    total = headline([found, found])
    assert total.saved_picousd == 2 * found.chosen.saving.saved_picousd
    assert headline([found]).current_picousd == opus.recorded_picousd


def test_a_price_change_withdraws_the_advice(shipped: Catalog) -> None:
    group = equal_requests(shipped, "gpt-4o", usage(400, 10), 10_000)
    before = advice_on(shipped, group)
    assert before.chosen is not None
    assert before.chosen.saving is not None
    assert any("gpt-6-luna" in entry for entry in before.chosen.saving.entries)
    rates = {"input_mtok": Decimal(3), "output_mtok": Decimal(12)}
    changed = shipped.with_overrides([Override(1, "price", "openai", "gpt-6-luna", rates=rates, starts=TODAY)])
    after = advice_on(changed, group)
    assert after.chosen is None or after.chosen.target.id != "gpt-6-luna"
    assert "costs 20 % more" in why_not(after)["gpt-6-luna"]


def test_a_retiring_model_shows_what_its_replacement_would_have_cost(shipped: Catalog) -> None:
    # gpt-4o ends on 2027-01-14; on gpt-6-luna 10,000 x (5,000 x $0.10 + 900 x $0.50) per million = $9.50.
    group = equal_requests(shipped, "gpt-4o", usage(5000, 900), 10_000, task="generation")
    found = advice_on(shipped, group)
    assert found.chosen is None
    assert found.retirement is not None
    assert (found.retirement.ends, found.retirement.replacement) == (date(2027, 1, 14), "gpt-6-luna")
    assert found.retirement.saving is not None
    assert found.retirement.saving.candidate_picousd == usd("9.50")
    [ending] = calendar([(group, found.retirement)], TODAY)
    assert (ending.ends, ending.requests, ending.over) == (date(2027, 1, 14), 10_000, False)


def test_on_azure_the_advice_asks_for_a_deployment(shipped: Catalog) -> None:
    source = model_of(shipped, "openai", "gpt-4o")
    part = slice_of(shipped, source, usage(400, 10), 10_000, provider="azure")
    group = group_of(shipped, "gpt-4o", part, provider="azure", model="prod-chat", source=source)
    found = advice_on(shipped, group)
    assert found.chosen is not None
    assert found.chosen.target.provider == "openai"
    assert "needs_deployment" in found.chosen.flags


@pytest.mark.parametrize("times", [Decimal("0.9"), Decimal(1), Decimal("1.01")])
def test_at_the_break_even_nothing_is_saved_and_beyond_it_money_is_lost(shipped: Catalog, times: Decimal) -> None:
    # claude-haiku-4-5 ($1, $5) to claude-haiku-5-5 ($0.10, $0.50): 400 in and 100 out cost 900, there 40 + 50.
    # Answers may get (900 - 40) / 50 = 17.2 times as long.
    group = equal_requests(shipped, "claude-haiku-4-5", usage(400, 100), provider="anthropic")
    found = saving(group, model_of(shipped, "anthropic", "claude-haiku-5-5"), pricer(shipped), FIFTH)
    assert found.break_even == Decimal("17.2")
    longer = 400 * 100_000 + int(1720 * times) * 500_000
    assert (found.current_picousd // 1000 > longer) is (times < 1)
    assert (found.current_picousd // 1000 < longer) is (times > 1)


def test_a_model_that_ends_without_a_replacement_says_so_and_one_that_lasts_is_in_no_calendar(shipped: Catalog) -> None:
    ending = equal_requests(shipped, "claude-sonnet-4-5", usage(5000, 900), provider="anthropic", task="reasoning")
    lasting = equal_requests(shipped, "claude-haiku-4-5", usage(400, 10), provider="anthropic")
    found = [(group, advice_on(shipped, group).retirement) for group in (ending, lasting)]
    [line] = calendar(found, TODAY)
    # 1,000 x (5,000 x $3 + 900 x $15) per million = $28.50; on claude-sonnet-5-5 ($2, $10) $19.00.
    assert (line.model, line.ends, line.named_by) == ("claude-sonnet-4-5", date(2026, 11, 30), "registry")
    assert (line.current_picousd, line.candidate_picousd) == (usd("28.50"), usd("19.00"))
    assert line.compared_requests == 1000


def test_the_calendar_sums_all_groups_of_a_model(shipped: Catalog) -> None:
    short = equal_requests(shipped, "gpt-4o", usage(400, 10), 100)
    long = equal_requests(shipped, "gpt-4o", usage(5000, 900), 10)
    [line] = calendar([(group, advice_on(shipped, group).retirement) for group in (short, long)], TODAY)
    # 100 x (400 x $0.10 + 10 x $0.50) + 10 x (5,000 x $0.10 + 900 x $0.50) per million = $0.0045 + $0.0095.
    assert (line.requests, line.candidate_picousd) == (110, usd("0.014"))
    assert line.current_picousd == short.recorded_picousd + long.recorded_picousd


def test_a_target_that_no_downgrade_leads_to_can_be_asked_about_and_is_said_to_be_none(shipped: Catalog) -> None:
    group = equal_requests(shipped, "gpt-4o", usage(400, 10), 10_000)
    price = pricer(shipped)
    dearer, same = (
        what_if(shipped, group, model_of(shipped, "openai", name), price, TODAY) for name in ("gpt-5.5", "gpt-4o")
    )
    # 10,000 x (400 x $5 + 10 x $30) per million = $23.00 instead of $11.00.
    assert dearer.saving is not None
    assert dearer.saving.saved_picousd == usd("-12.00")
    assert "is no downgrade of gpt-4o in the registry" in dearer.why_not
    assert same.why_not == ("costs the same on these requests", "is the model in use")
