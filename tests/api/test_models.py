"""`GET /api/models` and `/api/models/{id}`: the registry, with the price in force today."""

from typing import Any

import pytest

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from tests.api.serving import Lectr


@pytest.fixture(scope="module")
def models(lectr: Lectr) -> list[dict[str, Any]]:
    return list(lectr.json("/api/models")["models"])


def test_every_model_of_the_registry_is_there_once(models: list[dict[str, Any]]) -> None:
    catalog = load_catalog(REGISTRY_DIR)
    named = [(model.provider, model.id) for model in catalog.models if model.served]
    assert [(model["provider"], model["id"]) for model in models] == named
    assert len({(model["provider"], model["id"]) for model in models}) == len(models)


def test_the_routing_targets_are_the_listed_26(models: list[dict[str, Any]]) -> None:
    targets = [model for model in models if model["routing_target"]]
    assert len(targets) == 26
    assert {model["provider"] for model in targets} == {"openai", "anthropic", "groq", "gemini"}


def test_a_model_of_the_list_is_found_by_its_id(lectr: Lectr, models: list[dict[str, Any]]) -> None:
    for model in models[:: len(models) // 40]:
        assert lectr.json(f"/api/models/{model['id']}", provider=model["provider"]) == model


def test_an_id_with_a_slash_needs_no_encoding(lectr: Lectr) -> None:
    plain = lectr.json("/api/models/openai/gpt-oss-120b")
    assert (plain["id"], plain["provider"]) == ("openai/gpt-oss-120b", "groq")
    assert lectr.admin.get("/api/models/openai%2Fgpt-oss-120b").json() == plain


def test_an_alias_and_any_case_lead_to_the_model(lectr: Lectr) -> None:
    assert lectr.json("/api/models/GPT-4o-2024-08-06")["id"] == "gpt-4o"


def test_without_a_provider_it_is_the_detected_one(lectr: Lectr, models: list[dict[str, Any]]) -> None:
    names: dict[str, list[str]] = {}
    for model in models:
        names.setdefault(model["id"], []).append(model["provider"])
    several = [name for name, providers in names.items() if len(providers) > 1]
    for name in [*several[:20], "gpt-4o", "openai/gpt-oss-20b"]:
        assert lectr.json(f"/api/models/{name}")["provider"] == lectr.json("/api/detect", model=name)["provider"]


def test_azure_has_openais_models_at_its_own_price(lectr: Lectr) -> None:
    azure, openai = (lectr.json("/api/models/gpt-4o", provider=name) for name in ("azure", "openai"))
    assert (azure["provider"], openai["provider"]) == ("azure", "openai")
    assert (azure["routing_target"], openai["routing_target"]) == (False, True)
    catalog = load_catalog(REGISTRY_DIR)
    price = catalog.price_at("azure", "gpt-4o", catalog.listed_on)
    assert price is not None
    assert azure["price"]["entry"] == price.price.entry


def test_a_living_model_says_what_it_can(lectr: Lectr) -> None:
    model = lectr.json("/api/models/gpt-6-luna")
    assert model["alive"] is True
    assert model["context_tokens"] > 0
    assert set(model["capabilities"]) >= {"tools", "images", "json_schema", "reasoning"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing-like-it", 404),
        ("openai/gpt-4o", 404),
        ("gpt-4o?provider=nobody", 400),
        ("gpt-4o?provider=", 400),
        ("claude-haiku-5-5?provider=openai", 404),
        ("%2e%2e/secret", 404),
        ("x" * 5000, 404),
    ],
)
def test_what_is_not_there(lectr: Lectr, path: str, status: int) -> None:
    answer = lectr.admin.get(f"/api/models/{path}")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == {404: "not_found", 400: "invalid_request"}[status]
    assert len(answer.text) < 700


def test_a_near_name_is_offered(lectr: Lectr) -> None:
    assert "gpt-4o-mini" in lectr.get("/api/models/gpt-4o-mni").json()["error"]["message"]
