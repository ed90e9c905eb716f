"""The short way to a cost says what the long way says, for every model of the registry."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.load import load_catalog
from app.domain import MAX_PICOUSD, Usage
from app.metering import usual_cost as module
from app.metering.cost import cost_of
from app.metering.usual_cost import usual_cost
from tests.metering.prices import TODAY, PriceList, price

CATALOG = load_catalog(Path(__file__).parents[2] / "registry")
NAMES = sorted((model.provider, model.id) for model in CATALOG.models if model.prices)
COUNTS = st.sampled_from([0, 1, 7, 1000, 128_000, 128_001, 200_000, 200_001, 272_001, 10**6, 2**53])
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    cache_write_5m_input_tokens=st.sampled_from([0, 0, 0, 5]),
    web_searches=st.sampled_from([0, 0, 0, 2]),
    flags=st.sampled_from([(), (), ("usage_clamped",), ("implausible_usage",)]),
    modifiers=st.sampled_from([{}, {}, {"speed": "fast"}, {"inference_geo": "us"}]),
    largest_pass_tokens=st.sampled_from([None, None, 3]),
)


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["", "-2024-07-18", "-nonsense"]),
    st.sampled_from([None, "default", "flex", "priority", "batch"]),
    st.sampled_from([date(2024, 1, 1), TODAY]),
    USAGES,
)
@settings(max_examples=3000, deadline=None)
def test_both_ways_agree(name: tuple[str, str], ending: str, tier: str | None, on: date, usage: Usage) -> None:
    provider, model = name
    ask: dict[str, Any] = {"provider": provider, "service_tier": tier, "on": on}
    ask |= {"response_model": model + ending, "request_model": model}
    assert usual_cost(CATALOG, usage, **ask) == cost_of(CATALOG, usage, **ask)


def test_a_usual_request_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = PriceList({"made-up-1": (price("p", {"input_mtok": "1.5", "output_mtok": "6"}),)})
    ask: dict[str, Any] = {"provider": "openai", "response_model": "made-up-1", "request_model": None}
    ask |= {"service_tier": None, "on": TODAY}
    assert usual_cost(prices, Usage(), **ask).picousd == 0
    monkeypatch.delattr(module, "cost_of")
    monkeypatch.delattr(module, "bill_of")
    assert usual_cost(prices, Usage(input_tokens=3, output_tokens=2), **ask).picousd == 16_500_000


def test_a_rate_below_a_pico_dollar_and_a_sum_beyond_the_ledger_go_the_long_way() -> None:
    prices = PriceList({"made-up-1": (price("p", {"input_mtok": "0.0000015", "output_mtok": "99999"}),)})
    ask: dict[str, Any] = {"provider": "openai", "response_model": "made-up-1", "request_model": None}
    ask |= {"service_tier": None, "on": TODAY}
    assert usual_cost(prices, Usage(input_tokens=3), **ask).picousd == 4
    beyond = Usage(output_tokens=MAX_PICOUSD // 99_999_000_000 + 1)
    assert usual_cost(prices, beyond, **ask) == cost_of(prices, beyond, **ask)
    assert usual_cost(prices, beyond, **ask).picousd is None


def test_new_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_RATES", 3)
    prices = PriceList({})
    for number in range(10):
        usual_cost(
            prices,
            Usage(input_tokens=1),
            provider="openai",
            response_model=f"m{number}",
            request_model=None,
            service_tier=None,
            on=TODAY,
        )
    assert len(module._rates_of(prices)) <= 3
