"""Which of several layers of prices is in force on a day."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.catalog.layers import Layer, LayerPrice, merge_layers
from app.catalog.schema import ContextTier, Price

_DAY = date(2026, 1, 1)


def _price(
    prefix: str, rate: int, starts: int | None = None, until: int | None = None, tier: str | None = None
) -> LayerPrice:
    return LayerPrice(
        prefix=prefix,
        rates={"input_mtok": Decimal(rate)},
        starts=None if starts is None else _DAY + timedelta(days=starts),
        until=None if until is None else _DAY + timedelta(days=until),
        when={"service_tier": tier} if tier else {},
    )


def _on(prices: tuple[Price, ...], day: int, tier: str | None = None) -> Price | None:
    when = {"service_tier": tier} if tier else {}
    started = [
        price for price in prices if price.when == when and (price.starts or date.min) <= _DAY + timedelta(days=day)
    ]
    return max(started, key=lambda price: price.starts or date.min, default=None)


def test_the_highest_layer_with_a_price_on_the_day_wins_over_later_lower_ones() -> None:
    merged = merge_layers([[_price("team", 9, 5)], [], [_price("list", 1), _price("list", 2, 10)]])
    assert [(price.entry, price.starts) for price in merged] == [
        ("list@always", None),
        ("team@2026-01-06", _DAY + timedelta(days=5)),
    ]


def test_a_price_until_a_day_gives_way_to_the_layer_below() -> None:
    merged = merge_layers([[_price("mend", 9, None, 7)], [_price("list", 1), _price("list", 2, 5)]])
    assert [(price.entry, price.starts) for price in merged] == [
        ("mend@always", None),
        ("list@2026-01-06", _DAY + timedelta(days=7)),
    ]


def test_a_higher_standard_price_hides_the_variants_below_it() -> None:
    merged = merge_layers([[_price("team", 9, 5)], [_price("list", 2), _price("list", 1, 1, tier="flex")]])
    before, after = _on(merged, 4, "flex"), _on(merged, 5, "flex")
    assert before is not None
    assert after is not None
    assert (before.entry, after.entry) == ("list@2026-01-02#flex", "team@2026-01-06")
    assert after.rates == {"input_mtok": Decimal(9)}


def test_a_tier_has_every_rate_of_its_price() -> None:
    price = LayerPrice(
        prefix="list",
        rates={"input_mtok": Decimal(1), "web_searches_kcount": Decimal(10)},
        tiers=(ContextTier(100, {"input_mtok": Decimal(2)}), ContextTier(200, {"input_mtok": Decimal(3)})),
    )
    (merged,) = merge_layers([[price]])
    assert [tier.rates for tier in merged.tiers] == [
        {"input_mtok": Decimal(2), "web_searches_kcount": Decimal(10)},
        {"input_mtok": Decimal(3), "web_searches_kcount": Decimal(10)},
    ]


_layer_prices = st.lists(
    st.tuples(st.none() | st.integers(0, 9), st.integers(1, 99)), max_size=4, unique_by=lambda pair: pair[0]
)


@given(st.lists(_layer_prices, min_size=1, max_size=3), st.integers(0, 10))
def test_the_merged_row_answers_each_day_as_the_layers_do(rows: list[list[tuple[int | None, int]]], day: int) -> None:
    layers: list[Layer] = [[_price(f"l{i}", rate, starts) for starts, rate in row] for i, row in enumerate(rows)]
    expected = None
    for layer in layers:
        holding = [price for price in layer if price.holds_on(_DAY + timedelta(days=day))]
        if holding:
            expected = max(holding, key=lambda price: price.starts or date.min)
            break
    found = _on(merge_layers(layers), day)
    assert (found.rates if found else None) == (expected.rates if expected else None)
