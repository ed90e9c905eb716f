"""`GET /api/detect`: the provider of a name, by which rule, and its price of today."""

from decimal import Decimal
from typing import Any

import pytest

from tests.api.serving import Lectr

PRICE_FIELDS = ["entry", "input_usd_per_mtok", "cached_usd_per_mtok", "output_usd_per_mtok", "confident"]


def detect(lectr: Lectr, model: str) -> dict[str, Any]:
    return dict(lectr.json("/api/detect", model=model))


@pytest.mark.parametrize(
    ("model", "provider", "detected_by"),
    [
        ("gpt-4o", "openai", "exact"),
        (" GPT-4o ", "openai", "exact"),
        ("models/gemini-2.5-flash", "gemini", "exact"),
        ("openai/gpt-oss-120b", "groq", "exact"),
        ("claude-next-9", "anthropic", "prefix"),
        ("gpt-99", "openai", "prefix"),
    ],
)
def test_a_name_that_is_recognised(lectr: Lectr, model: str, provider: str, detected_by: str) -> None:
    found = detect(lectr, model)
    assert (found["model"], found["provider"], found["detected_by"]) == (model, provider, detected_by)
    assert [list(step) for step in found["trace"]] == [["rule", "outcome"]] * len(found["trace"])
    assert found["trace"][-1]["rule"] == detected_by


@pytest.mark.parametrize("model", ["my-own-model", "openai/gpt-4o", "grok-4", "x" * 1000, "模型"])
def test_what_nobody_claims_has_no_provider(lectr: Lectr, model: str) -> None:
    found = detect(lectr, model)
    assert (found["provider"], found["detected_by"]) == (None, "default")
    assert (found["price"], found["price_reason"]) == (None, "unknown_model")
    assert [step["rule"] for step in found["trace"]][-1] == "default"


def test_a_price_is_decimal_strings(lectr: Lectr) -> None:
    price = detect(lectr, "gpt-4o")["price"]
    assert list(price)[:5] == PRICE_FIELDS
    assert price["confident"] is True
    rates = [price[name] for name in PRICE_FIELDS[1:4]]
    assert all(isinstance(rate, str) for rate in rates)
    assert [Decimal(rate) for rate in rates] == [Decimal("2.5"), Decimal("1.25"), Decimal(10)]
    assert detect(lectr, "gpt-4o")["price_reason"] is None


def test_a_rate_that_does_not_exist_is_null(lectr: Lectr) -> None:
    price = detect(lectr, "text-embedding-3-small")["price"]
    assert (price["cached_usd_per_mtok"], price["output_usd_per_mtok"]) == (None, None)


def test_a_price_of_the_undated_name_is_not_confident(lectr: Lectr) -> None:
    dated = detect(lectr, "gpt-4o-2099-01-01")
    assert dated["price"]["confident"] is False
    assert dated["price"]["input_usd_per_mtok"] == detect(lectr, "gpt-4o")["price"]["input_usd_per_mtok"]


def test_a_recognised_name_without_a_price_says_why(lectr: Lectr) -> None:
    found = detect(lectr, "gpt-99")
    assert (found["provider"], found["price"], found["price_reason"]) == ("openai", None, "unknown_model")


@pytest.mark.parametrize("query", ["", "?model=", "?model=%20", "?model=" + "x" * 1001, "?model=a&model=b"])
def test_no_model_is_refused(lectr: Lectr, query: str) -> None:
    answer = lectr.admin.get(f"/api/detect{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
