"""The generated price list agrees with its package and with the reference, and what is no list is refused."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from app.catalog.price_list import MAX_BYTES, decode_price_list
from app.catalog.refresh import build_price_list, diff_price_lists
from app.errors import RegistryError
from tests.catalog.conftest import REGISTRY, TODAY
from tests.shared_data import shared_data

Document = dict[str, Any]


def _document() -> Document:
    document: Document = json.loads((REGISTRY / "prices.json").read_bytes())
    return document


def _period(row: dict[str, Any], start: str, tiers: str, over: str) -> tuple[Any, ...]:
    return row.get(start), row["rates"], [(tier[over], tier["rates"]) for tier in row.get(tiers, [])]


def _equals(clause: dict[str, Any]) -> list[str]:
    names = [clause["equals"]] if "equals" in clause else []
    for part in (*clause.get("or", ()), *clause.get("and", ())):
        names += _equals(part)
    return names


def test_the_list_is_what_the_package_says_to_the_byte() -> None:
    assert build_price_list(TODAY) == (REGISTRY / "prices.json").read_bytes()


def test_the_list_agrees_with_the_reference_in_every_model_rate_tier_variant_and_date() -> None:
    reference = json.loads(shared_data("prices_reference.json").read_bytes())["models"]
    generated = {(model["provider"], model["id"]): model for model in _document()["models"]}
    assert {(model["provider"], model["id"]) for model in reference} == set(generated)
    for expected in reference:
        model = generated[expected["provider"], expected["id"]]
        name = f"{expected['provider']}/{expected['id']}"
        there = [_period(row, "from", "over_input_tokens", "start") for row in expected["prices"]]
        here = [_period(row, "starts", "tiers", "over_input_tokens") for row in model.get("prices", [])]
        assert here == there, name
        there = [(row["when"], _period(row, "from", "over_input_tokens", "start")) for row in expected["variants"]]
        here = [
            (row["when"], _period(row, "starts", "tiers", "over_input_tokens")) for row in model.get("variants", [])
        ]
        assert here == there, name
        assert (model.get("context"), model.get("deprecated", False)) == (expected["context"], expected["deprecated"])


def test_aliases_are_the_names_that_the_source_matches_exactly() -> None:
    generated = {(model["provider"], model["id"]): model for model in _document()["models"]}
    for expected in json.loads(shared_data("prices_reference.json").read_bytes())["models"]:
        model = generated[expected["provider"], expected["id"]]
        assert set(model.get("aliases", [])) == set(_equals(expected["match"])) - {expected["id"]}, expected["id"]


def test_a_diff_names_what_came_went_and_changed() -> None:
    document = _document()
    gone = document["models"].pop(0)
    document["models"][0]["prices"][0]["rates"]["input_mtok"] = "1234"
    document["models"].append({"provider": "openai", "id": "zz-new", "prices": [{"rates": {"input_mtok": "1"}}]})
    lines = diff_price_lists((REGISTRY / "prices.json").read_bytes(), json.dumps(document).encode())
    assert [line[0] for line in lines] == ["-", "~", "+"]
    assert lines[0].startswith(f"- {gone['provider']}/{gone['id']}:")
    assert "input_mtok=1234" in lines[1]
    assert lines[2].startswith("+ openai/zz-new: input_mtok=1")
    assert diff_price_lists(json.dumps(document).encode(), json.dumps(document).encode()) == []


def _broken(change: Callable[[Document], object]) -> bytes:
    document = _document()
    change(document)
    return json.dumps(document).encode()


def _rate(value: object) -> Callable[[Document], object]:
    return lambda document: document["models"][0]["prices"][0]["rates"].update(input_mtok=value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_rate("-1"), "is no rate"),
        (_rate("1e3"), "is no rate"),
        (_rate("NaN"), "is no rate"),
        (_rate("0.1234567890"), "is no rate"),
        (_rate("99999999"), "is no rate"),
        (_rate(0.15), "Expected `str`"),
        (lambda d: d["models"][0]["prices"][0]["rates"].update(foo_mtok="1"), "unknown unit"),
        (lambda d: d["models"][0].update(id="Has Space"), "is no model name"),
        (lambda d: d["models"].append(d["models"][0]), "twice"),
        (lambda d: d.update(models=[]), "is empty"),
        (lambda d: d.update(schema=2), "schema 1"),
        (lambda d: d.update(extra=1), "unknown field"),
        (lambda d: d.pop("generated_on"), "generated_on"),
        (lambda d: d["models"][0].update(prices=d["models"][0]["prices"] * 2), "order of their start"),
        (lambda d: d["models"][0].update(variants=[{"when": {}, "rates": {}}]), "needs a condition"),
        (lambda d: d["models"][0]["prices"][0].update(tiers=[{"over_input_tokens": 0, "rates": {}}]), "over 0"),
    ],
)
def test_a_document_that_is_no_price_list_is_refused_whole(change: Callable[[Document], object], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        decode_price_list(_broken(change))


@pytest.mark.parametrize("document", [b"", b"[]", b"\xff\xfe", b"{", b"[" * 100_000, b" " * (MAX_BYTES + 1)])
def test_bytes_that_are_no_json_list_are_refused(document: bytes) -> None:
    with pytest.raises(RegistryError):
        decode_price_list(document)


def test_the_list_carries_its_day_and_source() -> None:
    listed = decode_price_list((REGISTRY / "prices.json").read_bytes())
    assert listed.generated_on == date(2026, 11, 22)
    assert msgspec.to_builtins(listed.source) == {"name": "genai-prices", "version": "0.2.3", "licence": "MIT"}
