"""A newer price list is taken without a deploy, and never rewrites a price of the past."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from app.catalog.schema import Override
from app.errors import RegistryError
from tests.catalog.conftest import REGISTRY, TODAY

NEXT = date(2026, 12, 5)
Document = dict[str, Any]


def _newer(change: Callable[[Document], object] = lambda _: None) -> bytes:
    document: Document = json.loads((REGISTRY / "prices.json").read_bytes())
    document["generated_on"] = NEXT.isoformat()
    change(document)
    return json.dumps(document).encode()


def _model(document: Document, provider: str, id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in document["models"] if (m["provider"], m["id"]) == (provider, id))
    return found


def _priced(catalog: Catalog, name: str, on: date, **conditions: str) -> tuple[str, Decimal]:
    match = catalog.price_at("openai", name, on, conditions)
    assert match is not None
    return match.price.entry, match.price.rates["input_mtok"]


def test_a_newer_list_brings_new_models_and_its_age(catalog: Catalog) -> None:
    new = {"provider": "openai", "id": "gpt-7", "prices": [{"rates": {"input_mtok": "1"}}]}
    later = catalog.with_price_list(_newer(lambda document: document["models"].append(new)))
    assert later.listed_on == NEXT
    assert _priced(later, "gpt-7", NEXT) == ("genai-prices:openai/gpt-7@always", Decimal(1))
    assert catalog.listed_on == TODAY


def test_a_rate_that_changed_without_a_day_holds_from_the_day_of_the_list(catalog: Catalog) -> None:
    def dearer(document: Document) -> None:
        _model(document, "openai", "gpt-4o")["prices"][0]["rates"]["input_mtok"] = "3"

    later = catalog.with_price_list(_newer(dearer))
    assert _priced(later, "gpt-4o", TODAY) == ("genai-prices:openai/gpt-4o@always", Decimal("2.5"))
    assert _priced(later, "gpt-4o", NEXT) == ("genai-prices:openai/gpt-4o@2026-12-05", Decimal(3))


def test_a_variant_that_changed_holds_from_the_day_of_the_list(catalog: Catalog) -> None:
    def dearer(document: Document) -> None:
        flex = next(v for v in _model(document, "openai", "o3")["variants"] if v["when"] == {"service_tier": "flex"})
        flex["rates"]["input_mtok"] = "1.5"

    later = catalog.with_price_list(_newer(dearer))
    assert _priced(later, "o3", TODAY, service_tier="flex") == ("genai-prices:openai/o3@2026-10-12#flex", Decimal(1))
    assert _priced(later, "o3", NEXT, service_tier="flex") == (
        "genai-prices:openai/o3@2026-12-05#flex",
        Decimal("1.5"),
    )


def test_a_dated_price_to_come_may_change_before_it_starts(catalog: Catalog) -> None:
    def later_rate(document: Document) -> None:
        _model(document, "gemini", "gemini-3.8-flash")["prices"][1]["rates"]["input_mtok"] = "9"

    later = catalog.with_price_list(_newer(later_rate))
    match = later.price_at("gemini", "gemini-3.8-flash", date(2027, 1, 1))
    assert match is not None
    assert match.price.rates["input_mtok"] == 9


def test_a_model_that_the_newer_list_dropped_keeps_its_price(catalog: Catalog) -> None:
    def without(document: Document) -> None:
        document["models"].remove(_model(document, "openai", "gpt-4"))
        document["models"].remove(_model(document, "anthropic", "claude-3-opus-latest"))

    later = catalog.with_price_list(_newer(without))
    assert _priced(later, "gpt-4", NEXT) == ("genai-prices:openai/gpt-4@always", Decimal(30))
    assert later.price_at("anthropic", "claude-3-opus-20240229", NEXT) is not None


def test_team_overrides_stay_on_top_of_a_newer_list(catalog: Catalog) -> None:
    ours = [Override(id=1, kind="price", provider="openai", model="gpt-4o", rates={"input_mtok": Decimal(7)})]
    later = catalog.with_overrides(ours).with_price_list(_newer())
    assert _priced(later, "gpt-4o", NEXT) == ("team:1:openai/gpt-4o@always", Decimal(7))


@pytest.mark.parametrize("day", ["2026-11-22", "2020-01-01"])
def test_a_list_that_is_not_newer_is_refused(catalog: Catalog, day: str) -> None:
    with pytest.raises(RegistryError, match="not older"):
        catalog.with_price_list(_newer(lambda document: document.update(generated_on=day)))


def test_a_list_with_a_foreign_provider_is_refused(catalog: Catalog) -> None:
    with pytest.raises(RegistryError, match=r"models\[0\]\.provider: 'acme' is no provider here"):
        catalog.with_price_list(_newer(lambda document: document["models"][0].update(provider="acme")))


@pytest.mark.parametrize("document", [b"", b"{}", b"not json", b"[1]"])
def test_what_is_no_list_is_refused(catalog: Catalog, document: bytes) -> None:
    with pytest.raises(RegistryError, match="imported price list"):
        catalog.with_price_list(document)
