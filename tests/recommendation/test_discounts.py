"""Other ways to pay for the same model, as arithmetic: at list prices, on these requests, with what is assumed said."""

from decimal import Decimal

import msgspec
import pytest

from app.catalog.catalog import Catalog
from app.domain import PICOUSD_PER_USD
from app.recommendation.cards import assumptions
from app.recommendation.discounts import Discount, by_feature, discounts
from app.recommendation.traffic import Group
from tests.recommendation.traffic import TODAY, equal_requests, group_of, model_of, pricer, slice_of, usage


def usd(text: str) -> int:
    return int(Decimal(text) * PICOUSD_PER_USD)


def found(catalog: Catalog, group: Group) -> dict[str, Discount]:
    price = pricer(catalog)
    return {one.kind: one for one in discounts(catalog, group, price, price.tier, TODAY)}


def test_batch_and_flex_cost_half_on_requests_that_did_not_stream(shipped: Catalog) -> None:
    # 1,000 x (2,000 x $1 + 100 x $5) per million = $2.50 on gpt-6.1-terra; its batch and flex rates are half of that.
    seen = found(shipped, equal_requests(shipped, "gpt-6.1-terra", usage(2000, 100)))
    for kind in ("batch", "flex"):
        assert seen[kind] == Discount(kind, 1000, usd("2.50"), 0, usd("1.25"))


def test_what_streamed_had_somebody_waiting(shipped: Catalog) -> None:
    model = model_of(shipped, "openai", "gpt-6.1-terra")
    quiet = slice_of(shipped, model, usage(300, 100), 400)
    watched = msgspec.structs.replace(slice_of(shipped, model, usage(300, 100), 600), streamed=True)
    seen = found(shipped, group_of(shipped, "gpt-6.1-terra", quiet, watched))
    assert seen["batch"].requests == 400
    assert found(shipped, group_of(shipped, "gpt-6.1-terra", watched)) == {}


def test_what_is_paid_in_another_tier_already_is_left_alone(shipped: Catalog) -> None:
    part = slice_of(shipped, model_of(shipped, "openai", "gpt-6.1-terra"), usage(300, 100), 400)
    seen = found(shipped, group_of(shipped, "gpt-6.1-terra", msgspec.structs.replace(part, service_tier="flex")))
    assert seen == {}


def test_caching_saves_the_difference_of_rates_on_what_repeats_less_what_is_written(shipped: Catalog) -> None:
    # 1,000 prompts of 8,000 tokens on claude-sonnet-5-5: fresh $2, cached $0.10, written $2.50 per million.
    # If a quarter repeats, 2,000 each: 90 % read ($1.90 less), 10 % written ($0.50 more): 2 x (1.71 - 0.05) = $3.32.
    # If three quarters repeat: three times as much.
    seen = found(shipped, equal_requests(shipped, "claude-sonnet-5-5", usage(8000, 100), provider="anthropic"))
    assert seen["caching"] == Discount("caching", 1000, usd("17.00"), usd("3.32"), usd("9.96"))


def test_what_is_cached_already_is_taken_off(shipped: Catalog) -> None:
    # 4,000 of 8,000 come from the cache: a quarter (2,000) is there already, of three quarters (6,000) 2,000 are left.
    part = usage(4000, 100, cached=4000)
    seen = found(shipped, equal_requests(shipped, "claude-sonnet-5-5", part, provider="anthropic"))
    assert (seen["caching"].low_picousd, seen["caching"].high_picousd) == (0, usd("3.32"))


def test_no_more_is_saved_than_was_billed_as_fresh_input(shipped: Catalog) -> None:
    most = usage(1500, 100, cached=500)
    seen = found(shipped, equal_requests(shipped, "claude-sonnet-5-5", most, provider="anthropic"))
    # Three quarters of 2,000 less the 500 that were cached are 1,000 of the 1,500 fresh ones.
    assert seen["caching"].high_picousd == 1000 * 1000 * 1_660_000


@pytest.mark.parametrize(("name", "one"), [("gpt-6.1-terra", usage(900, 10)), ("gpt-4-turbo", usage(8000, 10))])
def test_short_prompts_and_models_without_a_cached_rate_save_nothing_by_caching(
    shipped: Catalog, name: str, one: object
) -> None:
    assert isinstance(one, type(usage(1, 1)))
    assert "caching" not in found(shipped, equal_requests(shipped, name, one))


def test_where_the_data_are_too_few_nothing_is_estimated(shipped: Catalog) -> None:
    assert found(shipped, equal_requests(shipped, "gpt-6.1-terra", usage(8000, 100), 49)) == {}
    assert found(shipped, equal_requests(shipped, "gpt-6.1-terra", usage(8000, 100), days=2)) == {}


def test_azure_has_batches_and_nothing_like_flex(shipped: Catalog) -> None:
    source = model_of(shipped, "openai", "gpt-5.4")
    part = slice_of(shipped, source, usage(300, 100), 400, provider="azure")
    group = group_of(shipped, "gpt-5.4", part, provider="azure", model="prod", source=source)
    assert set(found(shipped, group)) <= {"batch"}


def test_features_are_summed_up_and_kinds_are_not(shipped: Catalog) -> None:
    one = found(shipped, equal_requests(shipped, "gpt-6.1-terra", usage(2000, 100)))
    groups = [("search", tuple(one.values())), ("search", tuple(one.values())), (None, ())]
    lines = by_feature(groups)
    assert [(line.feature, line.discount.kind) for line in lines] == [
        ("search", "caching"),
        ("search", "batch"),
        ("search", "flex"),
    ]
    assert lines[1].discount == Discount("batch", 2000, usd("5.00"), 0, usd("2.50"))


def test_what_is_assumed_is_said(shipped: Catalog) -> None:
    said = " ".join(assumptions(shipped.policy))
    assert "25 to 75 %" in said
    assert "10 % of the time" in said
    assert "did not stream" in said
