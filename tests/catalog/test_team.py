"""A team's aliases and prices win over the registry; a bad one is refused when it is made."""

from datetime import date
from decimal import Decimal

import pytest

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Override
from app.errors import RegistryError
from tests.catalog.conftest import TODAY


def _price(id: int, provider: str, model: str, rate: str, starts: date | None = None) -> Override:
    rates = {"input_mtok": Decimal(rate), "output_mtok": Decimal(rate)}
    return Override(id=id, kind="price", provider=provider, model=model, rates=rates, starts=starts)


def _alias(id: int, provider: str, alias: str, model: str) -> Override:
    return Override(id=id, kind="alias", provider=provider, model=model, alias=alias)


def _entry(catalog: Catalog, provider: str, name: str, on: date = TODAY, **conditions: str) -> str | None:
    match = catalog.price_at(provider, name, on, conditions)
    return match.price.entry if match else None


def test_a_team_price_wins_from_its_day_on_and_hides_the_tiers_below(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_price(7, "openai", "GPT-4o", "1.25", date(2026, 11, 1))])
    assert _entry(ours, "openai", "gpt-4o") == "team:7:openai/gpt-4o@2026-11-01"
    assert _entry(ours, "openai", "gpt-4o-2024-08-06") == "team:7:openai/gpt-4o@2026-11-01"
    assert _entry(ours, "openai", "gpt-4o", service_tier="priority") == "team:7:openai/gpt-4o@2026-11-01"
    assert _entry(ours, "openai", "gpt-4o", date(2026, 10, 31)) == "genai-prices:openai/gpt-4o@always"
    model = ours.find("gpt-4o")
    assert model is not None
    assert model.overridden
    assert model.routing_target


def test_a_team_price_without_a_day_holds_always_and_wins_over_hand_kept_ones(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_price(3, "openai", "o3", "5")])
    assert _entry(ours, "openai", "o3", date(2025, 1, 1)) == "team:3:openai/o3@always"


def test_the_catalog_it_is_laid_over_stays_as_it_was(catalog: Catalog) -> None:
    catalog.with_overrides([_price(1, "openai", "gpt-4o", "1")])
    assert _entry(catalog, "openai", "gpt-4o") == "genai-prices:openai/gpt-4o@always"


def test_overrides_replace_those_before_them(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_price(1, "openai", "gpt-4o", "1")]).with_overrides([])
    assert _entry(ours, "openai", "gpt-4o") == "genai-prices:openai/gpt-4o@always"


def test_a_price_for_azure_is_not_openai_s_and_the_other_way_round(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_price(1, "azure", "gpt-4o", "3"), _price(2, "openai", "gpt-4o-mini", "4")])
    assert _entry(ours, "azure", "gpt-4o-2024-08-06") == "team:1:azure/gpt-4o@always"
    assert _entry(ours, "openai", "gpt-4o") == "genai-prices:openai/gpt-4o@always"
    assert _entry(ours, "openai", "gpt-4o-mini") == "team:2:openai/gpt-4o-mini@always"
    assert _entry(ours, "azure", "gpt-4o-mini") == "genai-prices:openai/gpt-4o-mini@always"
    assert [model.provider for model in ours.models if model.id == "gpt-4o"] == ["openai", "azure"]
    assert sum(model.routing_target for model in ours.models) == 26


def test_a_model_that_nobody_lists_can_be_priced(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_price(4, "openai", "gpt-9-nova", "2")])
    assert _entry(ours, "openai", "gpt-9-nova") == "team:4:openai/gpt-9-nova@always"
    model = ours.find("gpt-9-nova")
    assert model is not None
    assert model.lifecycle.status == "unknown"


def test_an_alias_is_the_model_it_names_for_look_up_and_price(catalog: Catalog) -> None:
    ours = catalog.with_overrides(
        [_alias(1, "azure", "Prod-Chat", "gpt-4.1-mini"), _alias(2, "openai", "cheap", "gpt-4o-mini")]
    )
    assert _entry(ours, "azure", "prod-chat") == "genai-prices:openai/gpt-4.1-mini@always"
    model = ours.find("cheap")
    assert model is not None
    assert (model.provider, model.id) == ("openai", "gpt-4o-mini")
    assert ours.find("prod-chat") is None
    assert ours.find("prod-chat", "openai") is None


def test_a_team_alias_comes_before_a_listed_name(catalog: Catalog) -> None:
    ours = catalog.with_overrides([_alias(1, "azure", "gpt-35-turbo", "gpt-4.1-mini")])
    assert _entry(ours, "azure", "gpt-35-turbo") == "genai-prices:openai/gpt-4.1-mini@always"
    assert _entry(ours, "openai", "gpt-35-turbo") == "genai-prices:openai/gpt-3.5-turbo@always"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([Override(1, "discount", "openai", "gpt-4o")], "kind must be alias or price"),
        ([_price(1, "nobody", "gpt-4o", "1")], "is no provider"),
        ([_price(1, "openai", "two words", "1")], "is no model name"),
        ([_price(1, "openai", "gpt-4o", "-1")], "must be between 0 and"),
        ([_price(1, "openai", "gpt-4o", "NaN")], "must be between 0 and"),
        ([_price(1, "openai", "gpt-4o", "Infinity")], "must be between 0 and"),
        ([_price(1, "openai", "gpt-4o", "1000001")], "must be between 0 and"),
        ([_price(1, "openai", "gpt-4o", "0.0000000001")], "more than 9 decimals"),
        ([Override(1, "price", "openai", "gpt-4o")], "at least one rate"),
        ([Override(1, "price", "openai", "gpt-4o", rates={"input": Decimal(1)})], "is no unit"),
        ([_alias(1, "openai", "", "gpt-4o")], "is no alias"),
        ([_alias(1, "openai", "x y", "gpt-4o")], "is no alias"),
        ([_alias(1, "openai", "gpt-4o", "GPT-4o")], "of itself"),
        ([_alias(1, "openai", "cheap", "gpt-nothing")], "openai lists no gpt-nothing"),
        ([_alias(1, "openai", "cheap", "claude-opus-5")], "openai lists no claude-opus-5"),
        ([_price(1, "openai", "gpt-4o", "1"), _price(2, "openai", "gpt-4o", "2")], "the same as override 1"),
        ([_alias(1, "openai", "a", "gpt-4o"), _alias(2, "openai", "A", "o3")], "the same as override 1"),
    ],
)
def test_a_bad_override_is_refused_with_its_number(catalog: Catalog, overrides: list[Override], said: str) -> None:
    with pytest.raises(RegistryError, match=said) as caught:
        catalog.with_overrides(overrides)
    assert str(caught.value).startswith(f"team overrides: {overrides[-1].id}: ")


def test_the_holder_is_the_cell_that_a_process_swaps(catalog: Catalog) -> None:
    holder = CatalogHolder(catalog)
    holder.current = catalog.with_overrides([_price(1, "openai", "gpt-4o", "1")])
    assert _entry(holder.current, "openai", "gpt-4o") == "team:1:openai/gpt-4o@always"
