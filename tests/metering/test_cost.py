"""Cost: exact, rounded once, and NULL with its reason where a rate is not known."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import MAX_PICOUSD, CostReason, ExtraPass, Usage
from app.metering.cost import bill_of
from tests.metering.prices import TODAY, PriceList, cost, price

TEXT = {"input_mtok": "2.5", "output_mtok": "10"}
FULL = TEXT | {
    "cache_read_mtok": "1.25",
    "cache_write_mtok": "3.125",
    "cache_write_1h_mtok": "5",
    "cache_write_12h_mtok": "6.25",
    "input_audio_mtok": "40",
    "cache_audio_read_mtok": "2.5",
    "output_audio_mtok": "80",
    "input_image_mtok": "5",
    "output_image_mtok": "32",
    "cache_image_read_mtok": "2",
    "web_searches_kcount": "10",
}
UPPER = {"input_mtok": "7", "output_mtok": "15"}
PRICES = PriceList(
    {
        "text": (price("text", TEXT),),
        "full": (price("full", FULL),),
        "dearer": (price("dearer", {"input_mtok": "5", "output_mtok": "25", "cache_write_mtok": "6.25"}),),
        "tiered": (price("tiered", FULL, over={100: {"input_mtok": "5"}, 200: UPPER}),),
        "moved": (price("old", TEXT), price("new", {"input_mtok": "1", "output_mtok": "1"}, starts=date(2026, 1, 1))),
        "varied": (
            price("varied", TEXT),
            price("varied#flex", {"input_mtok": "1.25", "output_mtok": "5"}, when={"service_tier": "flex"}),
            price("varied#fast", {"input_mtok": "5", "output_mtok": "20"}, when={"speed": "fast"}),
        ),
        "voice": (price("voice", {"input_mchars": "15"}),),
        "ears": (price("ears", {"audio_hours": "0.111"}),),
        "claude-made-4-6": (price("us", FULL),),
        "claude-made-4-5-20260101": (price("us", FULL),),
    }
)  # fmt: skip


def test_each_bucket_has_its_own_rate() -> None:
    usage = Usage(
        input_tokens=1,
        cache_read_input_tokens=10,
        cache_write_5m_input_tokens=100,
        cache_write_1h_input_tokens=1_000,
        cache_write_12h_input_tokens=10_000,
        output_tokens=100_000,
        reasoning_tokens=99_999,
        input_audio_tokens=3,
        cache_read_audio_tokens=30,
        output_audio_tokens=300,
        input_image_tokens=3_000,
        output_image_tokens=30_000,
        cache_read_image_tokens=9,
        web_searches=7,
    )
    millionths = (
        Decimal("2.5") + 10 * Decimal("1.25") + 100 * Decimal("3.125") + 1000 * 5 + 10_000 * Decimal("6.25")
        + 100_000 * 10 + 3 * 40 + 30 * Decimal("2.5") + 300 * 80 + 3000 * 5 + 30_000 * 32 + 9 * 2 + 7 * 10_000
    )  # fmt: skip
    assert cost(PRICES, usage, "full").picousd == millionths * 10**6


def test_the_bill_names_bucket_quantity_rate_and_entry() -> None:
    bill = bill_of(
        PRICES,
        Usage(input_tokens=3, output_tokens=2),
        provider="openai",
        response_model="text",
        request_model=None,
        service_tier=None,
        on=TODAY,
    )
    assert [(line.bucket, line.quantity, line.rate_usd, line.per, line.price_entry) for line in bill.lines] == [
        ("input_tokens", 3, Decimal("2.5"), 1_000_000, "text"),
        ("output_tokens", 2, Decimal(10), 1_000_000, "text"),
    ]
    assert sum(line.amount_usd for line in bill.lines) == Decimal("0.0000275")
    assert bill.price_entry == "text"


def test_zero_usage_is_a_value() -> None:
    assert cost(PRICES, Usage(), "text").picousd == 0
    assert cost(PRICES, Usage(), "nobody").reason is CostReason.UNKNOWN_MODEL


@pytest.mark.parametrize(
    ("usage", "flag", "picousd"),
    [
        (Usage(cache_read_input_tokens=2), "cached_at_input_rate", 5_000_000),
        (Usage(cache_write_5m_input_tokens=2), "cache_write_at_input_rate", 5_000_000),
        (Usage(input_image_tokens=2), None, 5_000_000),
        (Usage(output_image_tokens=2), None, 20_000_000),
        (Usage(cache_read_image_tokens=2), "cached_at_input_rate", 5_000_000),
    ],
)
def test_a_rate_the_price_page_implies_stands_in(usage: Usage, flag: str | None, picousd: int) -> None:
    found = cost(PRICES, usage, "text")
    assert found.picousd == picousd
    assert found.flags == ((flag,) if flag else ())


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_audio_tokens=1),
        Usage(output_audio_tokens=1),
        Usage(cache_read_audio_tokens=1),
        Usage(cache_write_1h_input_tokens=1),
        Usage(cache_write_12h_input_tokens=1),
        Usage(web_searches=1),
        Usage(input_characters=1),
        Usage(audio_milliseconds=1),
    ],
)
def test_a_unit_without_a_rate_makes_the_cost_unknown_never_less(usage: Usage) -> None:
    found = cost(PRICES, usage, "text")
    assert (found.picousd, found.reason) == (None, CostReason.NO_RATE_FOR_UNIT)


def test_gemini_names_audio_only_where_it_differs() -> None:
    usage = Usage(input_audio_tokens=2, output_audio_tokens=2)
    assert cost(PRICES, usage, "text", provider="gemini").picousd == 25_000_000


@pytest.mark.parametrize(("size", "rate"), [(100, "2.5"), (101, "5"), (200, "5"), (201, "7")])
def test_over_a_context_threshold_the_whole_request_is_at_the_tiers_rates(size: int, rate: str) -> None:
    usage = Usage(input_tokens=size - 10, cache_read_input_tokens=10, output_tokens=1)
    output = 15 if size > 200 else 10
    wanted = (size - 10) * Decimal(rate) + 10 * Decimal("1.25") + output
    assert cost(PRICES, usage, "tiered").picousd == wanted * 10**6


def test_passes_that_are_told_apart_are_held_against_the_threshold_one_by_one() -> None:
    assert cost(PRICES, Usage(input_tokens=300, largest_pass_tokens=100), "tiered").picousd == 750 * 10**6
    assert cost(PRICES, Usage(input_tokens=300, largest_pass_tokens=201), "tiered").picousd == 2100 * 10**6


def test_the_price_of_the_day_is_used() -> None:
    usage = Usage(input_tokens=2)
    assert cost(PRICES, usage, "moved", on=date(2025, 12, 31)).picousd == 5_000_000
    assert cost(PRICES, usage, "moved", on=date(2026, 1, 1)).price_entry == "new"


def test_the_answers_tier_and_speed_choose_the_price() -> None:
    usage = Usage(input_tokens=2)
    assert cost(PRICES, usage, "varied", tier="flex").price_entry == "varied#flex"
    for standard in (None, "default", "auto", "standard", "on_demand"):
        found = cost(PRICES, usage, "varied", tier=standard)
        assert (found.price_entry, found.flags) == ("varied", ())
    fast = Usage(input_tokens=2, modifiers={"speed": "fast"})
    assert cost(PRICES, fast, "varied", tier="standard").price_entry == "varied#fast"
    unpriced = cost(PRICES, usage, "varied", tier="priority")
    assert (unpriced.picousd, unpriced.flags) == (5_000_000, ("variant_unpriced",))
    assert cost(PRICES, usage, "text", provider="groq", tier="flex").flags == ()


def test_the_model_that_answered_is_priced_then_the_one_asked_for() -> None:
    usage = Usage(input_tokens=2)
    assert cost(PRICES, usage, "text", asked="dearer").price_entry == "text"
    assert cost(PRICES, usage, "nobody", asked="text").price_entry == "text"
    assert cost(PRICES, usage, None, asked="text").price_entry == "text"
    assert cost(PRICES, usage, "nobody", asked="neither").reason is CostReason.UNKNOWN_MODEL


def test_a_price_found_by_the_base_of_a_name_is_marked() -> None:
    usage = Usage(input_tokens=2)
    assert cost(PRICES, usage, "text-DATED").flags == ("price_by_base",)
    assert cost(PRICES, usage, None, asked="text-DATED").flags == ("price_by_base",)
    # The name that was asked for is exact and the same model: nothing is in doubt.
    assert cost(PRICES, usage, "text-DATED", asked="text").flags == ()
    # A deployment may bear the name of another model than it serves.
    assert cost(PRICES, usage, "text-DATED", asked="dearer").price_entry == "text"


def test_extra_passes_are_billed_at_their_own_models_price() -> None:
    compaction = ExtraPass(None, Usage(input_tokens=10, output_tokens=1))
    advisor = ExtraPass("dearer", Usage(input_tokens=10, output_tokens=1))
    usage = Usage(input_tokens=1, extra_passes=(compaction, advisor))
    assert cost(PRICES, usage, "text").picousd == (Decimal("2.5") + 35 + 75) * 10**6
    unknown = Usage(input_tokens=1, extra_passes=(ExtraPass("nobody", Usage(input_tokens=1)),))
    assert cost(PRICES, unknown, "text").reason is CostReason.UNKNOWN_MODEL


def test_inference_in_the_us_costs_a_tenth_more_from_claude_4_6_on() -> None:
    usage = Usage(input_tokens=10, output_tokens=10, web_searches=1, modifiers={"inference_geo": "us"})
    assert cost(PRICES, usage, "claude-made-4-6").picousd == (Decimal(125) * Decimal("1.1") + 10_000) * 10**6
    assert cost(PRICES, usage, "claude-made-4-5-20260101").picousd == (Decimal(125) + 10_000) * 10**6
    assert cost(PRICES, usage, "full").picousd == (Decimal(125) + 10_000) * 10**6


def test_characters_and_seconds_have_rates_of_their_own() -> None:
    assert cost(PRICES, Usage(input_characters=100), "voice").picousd == 1_500_000_000
    # 0.111 dollars an hour over 10 s is 308333333.33 pico-dollars.
    assert cost(PRICES, Usage(audio_milliseconds=10_000), "ears").picousd == 308_333_333


def test_what_does_not_fit_the_ledger_is_implausible() -> None:
    most = MAX_PICOUSD // 2_500_000
    assert cost(PRICES, Usage(input_tokens=most), "text").picousd == most * 2_500_000
    assert cost(PRICES, Usage(input_tokens=most + 1), "text").reason is CostReason.IMPLAUSIBLE_USAGE
    flagged = Usage(input_tokens=1, flags=("implausible_usage",))
    assert cost(PRICES, flagged, "text").reason is CostReason.IMPLAUSIBLE_USAGE


rates = st.decimals(min_value=0, max_value=1000, places=7, allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**40)


@given(counts, counts, rates, rates)
@settings(max_examples=300, deadline=None)
def test_the_sum_is_exact_and_rounded_once_half_to_even(read: int, written: int, one: Decimal, other: Decimal) -> None:
    prices = PriceList({"m": (price("m", {"input_mtok": str(one), "output_mtok": str(other)}),)})
    exact = (read * Fraction(one) + written * Fraction(other)) * 10**6
    found = cost(prices, Usage(input_tokens=read, output_tokens=written), "m").picousd
    assert found == (round(exact) if round(exact) <= MAX_PICOUSD else None)
