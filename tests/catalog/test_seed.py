"""The 26 listed models stand in the registry exactly as the product lists them."""

import csv
import tomllib
from decimal import Decimal
from typing import Any

from app.catalog.catalog import Catalog
from tests.catalog.conftest import TODAY
from tests.shared_data import shared_data

_RATES = {"input": "input_mtok", "output": "output_mtok", "cache_read": "cache_read_mtok"}


def _seed() -> list[dict[str, str]]:
    with shared_data("seed_models.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _facts() -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = tomllib.loads(shared_data("registry_facts.toml").read_text(encoding="utf-8"))[
        "model"
    ]
    return models


def test_the_routing_targets_are_exactly_the_26_listed_models(catalog: Catalog) -> None:
    targets = {(model.provider, model.id) for model in catalog.models if model.routing_target}
    assert targets == {(row["provider"], row["model"]) for row in _seed()}
    assert len(targets) == 26


def test_the_listed_downgrades_are_exactly_the_21_of_the_list(catalog: Catalog) -> None:
    edges = set()
    for row in _seed():
        model = catalog.find(row["model"], row["provider"])
        assert model is not None
        listed = model.listed
        assert (listed.conservative if listed else None) == (row["downgrade_conservative"] or None), row["model"]
        assert (listed.aggressive if listed else None) == (row["downgrade_aggressive"] or None), row["model"]
        edges |= {
            (model.id, target) for target in (row["downgrade_conservative"], row["downgrade_aggressive"]) if target
        }
    assert len(edges) == 21
    assert all(model.listed is None for model in catalog.models if not model.routing_target)


def test_prices_of_the_listed_models_are_the_draft_s(catalog: Catalog) -> None:
    for fact in _facts():
        match = catalog.price_at(fact["provider"], fact["id"], TODAY)
        assert match is not None, fact["id"]
        assert not match.by_base
        price = match.price
        for name, unit in _RATES.items():
            expected = fact["price"].get(name)
            assert price.rates.get(unit) == (Decimal(expected) if expected else None), (fact["id"], unit)
        if "cache_write_5m" in fact["price"]:
            assert price.rates["cache_write_mtok"] == Decimal(fact["price"]["cache_write_5m"]), fact["id"]
        for over in fact.get("price_over", ()):
            (tier,) = price.tiers
            assert tier.over_input_tokens == over["input_tokens"]
            for name, unit in _RATES.items():
                assert tier.rates[unit] == Decimal(over[name]), (fact["id"], unit)


def test_facts_of_the_listed_models_are_the_draft_s(catalog: Catalog) -> None:
    for fact in _facts():
        model = catalog.find(fact["id"], fact["provider"])
        assert model is not None
        able = model.capabilities
        assert (able.context_tokens, able.max_output_tokens) == (fact["context"], fact["max_output"]), fact["id"]
        assert able.images == ("image" in fact["input_modalities"]), fact["id"]
        assert able.audio == ("audio" in fact["input_modalities"]), fact["id"]
        assert (able.tools, able.json_mode, able.json_schema, able.reasoning) == (
            fact["tools"], fact["json_mode"], fact["structured_output"], fact["reasoning"],
        ), fact["id"]  # fmt: skip
        assert (model.lifecycle.status, model.lifecycle.ends) == (
            fact["lifecycle"]["status"], fact["lifecycle"]["date"],
        ), fact["id"]  # fmt: skip


def test_21_of_the_26_are_shut_down_and_five_still_answer(catalog: Catalog) -> None:
    alive = {
        model.id: str(model.lifecycle.ends)
        for model in catalog.models
        if model.routing_target and model.lifecycle.alive_on(TODAY)
    }
    assert alive == {
        "gpt-4o": "2027-01-14",
        "gpt-4o-mini": "2027-01-14",
        "gpt-4.1": "2027-01-14",
        "gpt-4.1-mini": "2027-01-14",
        "o3": "2026-12-11",
    }
