"""GET /v1/models: from the registry, in the shape of the SDK that asks; never a row, never a provider."""

from datetime import UTC, datetime

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from tests.edge.provider import Provider
from tests.house.files import ROOT
from tests.running import Lectr


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(ROOT / "registry")


def test_the_models_that_are_alive_in_openais_shape(lectr: Lectr, catalog: Catalog) -> None:
    answer = lectr.call("/v1/models", provider_key=None)
    today = datetime.now(UTC).date()
    alive = [model for model in catalog.models if model.lifecycle.alive_on(today) and model.provider != "azure"]
    assert (answer.status, answer.json["object"]) == (200, "list")
    assert [(each["id"], each["owned_by"]) for each in answer.json["data"]] == [(m.id, m.provider) for m in alive]
    assert all(each["object"] == "model" and isinstance(each["created"], int) for each in answer.json["data"])
    assert "gpt-3.5-turbo-0301" not in [each["id"] for each in answer.json["data"]]


def test_all_of_them_on_request(lectr: Lectr, catalog: Catalog) -> None:
    everything = lectr.call("/v1/models?all=1").json["data"]
    assert len(everything) == len([model for model in catalog.models if model.provider != "azure"])
    assert len(everything) > len(lectr.call("/v1/models").json["data"])


def test_anthropics_shape_for_its_sdk(lectr: Lectr) -> None:
    document = lectr.call("/v1/models", headers={"anthropic-version": "2023-06-01"}).json
    assert set(document) == {"data", "has_more", "first_id", "last_id"}
    assert (document["first_id"], document["last_id"]) == (document["data"][0]["id"], document["data"][-1]["id"])
    assert {each["type"] for each in document["data"]} == {"model"}


@pytest.mark.parametrize("name", ["gpt-4o", "claude-opus-4-5", "openai/gpt-oss-120b", "openai%2Fgpt-oss-120b"])
def test_one_model(lectr: Lectr, name: str) -> None:
    answer = lectr.call(f"/v1/models/{name}")
    assert (answer.status, answer.json["object"]) == (200, "model")
    found = lectr.call(f"/v1/models/{name}", headers={"anthropic-version": "2023-06-01"}).json
    assert (found["type"], found["id"]) == ("model", answer.json["id"])


def test_a_model_nobody_has(lectr: Lectr) -> None:
    answer = lectr.call("/v1/models/no-such-model")
    assert (answer.status, answer.code) == (404, "model_not_found")
    answer = lectr.call("/v1/models/no-such-model", headers={"anthropic-version": "2023-06-01"})
    assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (404, "error", "not_found_error")


def test_neither_row_nor_provider(lectr: Lectr, provider: Provider) -> None:
    before, accepted = len(provider.seen), lectr.health()["ledger_accepted"]
    for target in ("/v1/models", "/v1/models/gpt-4o", "/v1/models/none", "/v1/v1/models"):
        answer = lectr.call(target)
        assert answer.header("x-lectr-request-id") is None
        assert lectr.call(target, method="HEAD").status == answer.status
    assert len(provider.seen) == before
    assert lectr.health()["ledger_accepted"] == accepted


def test_posting_to_it_goes_to_the_provider(lectr: Lectr, provider: Provider) -> None:
    before = len(provider.seen)
    answer = lectr.call("/v1/models", {}, method="POST")
    assert (answer.status, len(provider.seen)) == (200, before + 1)
    assert lectr.row(answer.id)["endpoint"] == "other"


def test_the_connection_stays_open(lectr: Lectr) -> None:
    assert lectr.call("/v1/models").header("connection") is None


def test_a_models_id_may_be_written_with_an_encoded_slash(lectr: Lectr) -> None:
    answer = lectr.call("/v1/models/openai%2Fgpt-oss-120b")
    assert (answer.status, answer.json["id"]) == (200, "openai/gpt-oss-120b")
