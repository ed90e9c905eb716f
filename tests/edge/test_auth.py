"""Product.md section 2: the Lectr key and the provider key, in any place a client can put them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.ledger.database import open_database
from app.ledger.keys import KeyStore
from tests import canaries
from tests.edge.asking import CERTAIN, MODELS, SHAPES, asking
from tests.edge.conftest import StartLectr
from tests.edge.provider import Provider
from tests.running import Lectr, call

FIELDS = {"authorization": "Bearer {}", "x-api-key": "{}", "api-key": "{}"}
BOX_KEYS = {"azure_openai" if name == "azure" else name: key for name, key in canaries.BOX.items()}


@pytest.fixture(scope="module")
def boxed(start_lectr: StartLectr) -> Iterator[Lectr]:
    """A Lectr whose box holds a key for every provider."""
    box_keys: dict[str, Any] = {f"{name}_api_key": key for name, key in BOX_KEYS.items()}
    with start_lectr(**box_keys) as lectr:
        yield lectr


def key_seen(provider: Provider, mark: dict[str, str]) -> dict[str, str]:
    """The credentials that reached the provider."""
    seen = provider.asked("x-mark", mark["x-mark"])
    return {name: value for name, value in seen.headers if name in (*FIELDS, "x-goog-api-key")}


def mark(*parts: object) -> dict[str, str]:
    return {"x-mark": "-".join(map(str, (*parts, time.monotonic_ns())))}


def test_without_a_lectr_key_nobody_is_contacted(lectr: Lectr, provider: Provider) -> None:
    before, counted = (len(provider.seen), provider.connections), lectr.health()["requests_without_valid_key"]
    accepted = lectr.health()["ledger_accepted"]
    for number, target in enumerate(("/v1/chat/completions", "/v1/messages", "/v1/files", "/v1/models", "/v1/.."), 1):
        answer = lectr.call(target, asking(), key=None)
        assert answer.status == 401
        assert answer.json["error"]["code"] == "missing_lectr_key"
        assert "x-lectr-request-id" not in dict(answer.headers)
        assert lectr.health()["requests_without_valid_key"] == counted + number
    assert (len(provider.seen), provider.connections) == before
    assert lectr.health()["ledger_accepted"] == accepted


@pytest.mark.parametrize(
    "key", ["lc_key_" + "a" * 32, "lc_key_", "sk-nonsense", "lc_key_" + "é" * 32, "' OR 1=1 --", "x" * 8000]
)
def test_an_invalid_lectr_key_contacts_nobody(lectr: Lectr, provider: Provider, key: str) -> None:
    before = len(provider.seen)
    answer = lectr.call(body=asking(), headers={"x-lectr-key": key})
    assert (answer.status, answer.code) == (401, "invalid_lectr_key")
    assert key not in answer.body.decode()
    assert len(provider.seen) == before


def test_a_lectr_key_is_compared_whole(lectr: Lectr) -> None:
    key = lectr.keys["plain"]
    for wrong in (key[:-1], key + "a", key.upper(), key[:20] + key[:20]):
        assert lectr.call(body=asking(), headers={"x-lectr-key": wrong}).status == 401
    assert lectr.call(body=asking(), headers={"x-lectr-key": f"  {key} "}).status == 200


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("company", MODELS)
def test_the_lectr_key_may_stand_where_the_provider_key_goes(
    boxed: Lectr, provider: Provider, field: str, company: str
) -> None:
    headers = mark(field, company) | {field: FIELDS[field].format(boxed.keys["plain"])}
    answer = boxed.call(body=asking(MODELS[company]), headers=headers, key=None, provider_key=None)
    assert answer.status == 200
    assert list(key_seen(provider, headers).values()) == [f"Bearer {BOX_KEYS[company]}"]


@pytest.mark.parametrize(("company", "field"), [("anthropic", "x-api-key"), ("azure", "api-key")])
def test_the_boxs_key_goes_where_the_provider_wants_it(
    boxed: Lectr, provider: Provider, company: str, field: str
) -> None:
    headers = mark(company) | ({"x-lectr-provider": "azure"} if company == "azure" else {})
    target = "/v1/messages" if company == "anthropic" else "/v1/chat/completions"
    answer = boxed.call(target, asking(MODELS.get(company, "gpt-4o")), headers, provider_key=None)
    assert answer.status == 200
    assert key_seen(provider, headers) == {field: BOX_KEYS["azure_openai" if company == "azure" else company]}


def test_the_callers_own_key_wins_over_the_boxs(boxed: Lectr, provider: Provider) -> None:
    headers = mark("own")
    boxed.call(body=asking(), headers=headers, provider_key="sk-own")
    assert key_seen(provider, headers) == {"authorization": "Bearer sk-own"}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"authorization": "Basic eDp5"}])
def test_no_provider_key_at_all_is_said(lectr: Lectr, provider: Provider, headers: dict[str, str]) -> None:
    before = len(provider.seen)
    answer = lectr.call(body=asking(), headers=headers, provider_key=None)
    assert (answer.status, answer.code) == (401, "missing_provider_key")
    assert "OPENAI_API_KEY" in answer.json["error"]["message"]
    assert len(provider.seen) == before
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["error_code"]) == (401, "rejected", "missing_provider_key")
    assert (row["cost_picousd"], row["error_source"], row["provider"]) == (0, "client", "openai")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("company", [*MODELS, "azure"])
def test_a_provider_key_is_taken_from_any_field(lectr: Lectr, provider: Provider, field: str, company: str) -> None:
    key = SHAPES.get(company, SHAPES["none"])
    headers = mark(field, company) | {field: FIELDS[field].format(key)}
    headers |= {"x-lectr-provider": "azure"} if company == "azure" else {}
    target = "/v1/messages" if company == "anthropic" else "/v1/chat/completions"
    answer = lectr.call(target, asking(MODELS.get(company, "gpt-4o")), headers, provider_key=None)
    assert (answer.status, answer.header("x-lectr-provider")) == (200, company)
    wanted = {"anthropic": ("x-api-key", key), "azure": ("api-key", key)}
    assert key_seen(provider, headers) == dict([wanted.get(company, ("authorization", f"Bearer {key}"))])


@pytest.mark.parametrize("company", [*CERTAIN, "openai"])
def test_of_several_keys_the_one_that_fits_goes_up(lectr: Lectr, provider: Provider, company: str) -> None:
    others = [key for name, key in SHAPES.items() if name not in (company, "none")]
    for field in FIELDS:
        rest = [name for name in FIELDS if name != field]
        headers = mark(company, field) | {field: FIELDS[field].format(SHAPES[company])}
        headers |= {name: FIELDS[name].format(other) for name, other in zip(rest, others, strict=False)}
        answer = lectr.call(body=asking(MODELS[company]), headers=headers, provider_key=None)
        assert (answer.status, answer.header("x-lectr-provider")) == (200, company)
        assert list(key_seen(provider, headers).values()) == [f"Bearer {SHAPES[company]}"]


def test_beside_a_foreign_key_one_without_a_shape_is_the_one(lectr: Lectr, provider: Provider) -> None:
    headers = mark("foreign") | {"x-api-key": SHAPES["groq"], "api-key": SHAPES["none"]}
    answer = lectr.call(body=asking("gpt-4o"), headers=headers, provider_key=None)
    assert answer.header("x-lectr-provider") == "openai"
    assert key_seen(provider, headers) == {"authorization": f"Bearer {SHAPES['none']}"}


def test_azure_takes_the_key_of_its_own_field(lectr: Lectr, provider: Provider) -> None:
    headers = mark("azure") | {"x-lectr-provider": "azure", "api-key": SHAPES["none"]}
    lectr.call(body=asking("gpt-4o"), headers=headers, provider_key="sk-openai")
    assert key_seen(provider, headers) == {"api-key": SHAPES["none"]}


@pytest.mark.parametrize(
    ("key", "headers", "target"),
    [
        ("sk-ant-oat01-token", {}, "/v1/messages"),
        ("eyJhbGciOi.token", {"x-lectr-provider": "azure"}, "/v1/chat/completions"),
    ],
)
def test_tokens_are_bearer_tokens_whatever_the_providers_keys_are(
    lectr: Lectr, provider: Provider, key: str, headers: dict[str, str], target: str
) -> None:
    headers = mark("token") | headers
    lectr.call(target, asking("claude-sonnet-4-5"), headers, provider_key=key)
    assert key_seen(provider, headers) == {"authorization": f"Bearer {key}"}


def test_anthropics_chat_completions_take_a_bearer_key(lectr: Lectr, provider: Provider) -> None:
    headers = mark("compat") | {"x-api-key": SHAPES["anthropic"]}
    lectr.call(body=asking("claude-sonnet-4-5"), headers=headers, provider_key=None)
    assert key_seen(provider, headers) == {"authorization": f"Bearer {SHAPES['anthropic']}"}


@pytest.mark.parametrize("forced", [None, "openai", "anthropic", "groq", "gemini", "azure"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("asked", [*MODELS, "unknown"])
def test_a_key_never_goes_to_another_company(
    lectr: Lectr, provider: Provider, shape: str, asked: str, forced: str | None
) -> None:
    headers = mark(shape, asked, forced) | ({"x-lectr-provider": forced} if forced else {})
    model = MODELS.get(asked, "no-such-model")
    answer = lectr.call(body=asking(model), headers=headers, provider_key=SHAPES[shape])
    row = lectr.row(answer.id)
    to = provider.asked("x-mark", headers["x-mark"]).target.split("/")[1] if answer.status == 200 else row["provider"]
    assert to == row["provider"]
    if shape in CERTAIN:
        assert to == shape
        wanted = forced or (asked if asked != "unknown" else shape)
        assert ("key_mismatch" in row["flags"]) == (wanted != shape)
        assert ("override_ignored" in row["flags"]) == (forced is not None and forced != shape)
        assert row["detected_by"] == "key_shape" or wanted == shape
    else:
        assert to == (forced or (asked if asked != "unknown" else "openai"))
        assert ("provider_unknown" in row["flags"]) == (asked == "unknown" and not forced)


@pytest.mark.parametrize("name", ["x-lectr-key", "authorization", "x-api-key", "api-key"])
def test_a_key_sent_twice_is_refused(lectr: Lectr, provider: Provider, name: str) -> None:
    before = len(provider.seen)
    value = lectr.keys["plain"] if name == "x-lectr-key" else "sk-a"
    fields, payload = lectr.fields(asking(), {name: value})
    answer = call(lectr.port, "POST", "/v1/chat/completions", payload, [*fields, (name, value)])
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert name in answer.json["error"]["message"]
    assert len(provider.seen) == before
    if name != "x-lectr-key":
        assert lectr.row(answer.id)["outcome"] == "rejected"


def test_a_labels_second_field_refuses_nothing(lectr: Lectr) -> None:
    fields, payload = lectr.fields(asking(), {"x-lectr-feature": "a", "x-lectr-task": "b", "x-lectr-provider": "groq"})
    twice = [*fields, ("x-lectr-feature", "c"), ("x-lectr-task", "d"), ("x-lectr-provider", "azure")]
    answer = call(lectr.port, "POST", "/v1/chat/completions", payload, twice)
    row = lectr.row(answer.id)
    assert answer.status == 200
    assert (row["provider"], row["flags"]) == ("openai", ["override_ignored"])


def test_the_keys_default_provider_is_asked_before_the_model(lectr: Lectr) -> None:
    row = lectr.row(lectr.call(body=asking("gpt-4o"), key="groq").id)
    assert (row["provider"], row["detected_by"], row["flags"]) == ("groq", "key_default", [])
    row = lectr.row(lectr.call(body=asking("gpt-4o"), headers={"x-lectr-provider": "OpenAI"}, key="groq").id)
    assert (row["provider"], row["detected_by"]) == ("openai", "header")
    row = lectr.row(lectr.call(body=asking("gpt-4o"), key="azure").id)
    assert (row["provider"], row["detected_by"]) == ("azure", "key_default")


@pytest.mark.anyio
async def test_a_revoked_key_is_refused_within_a_second(lectr: Lectr) -> None:
    database = await open_database(lectr.settings)
    try:
        store = KeyStore(database)
        await store.load()
        secret, _ = await store.create("short-lived")
        assert await _status_within(lectr, secret, 200) <= 1.0
        await store.revoke("short-lived")
        assert await _status_within(lectr, secret, 401) <= 1.0
    finally:
        await database.close()


async def _status_within(lectr: Lectr, secret: str, wanted: int) -> float:
    began = time.monotonic()
    while lectr.call(body=asking(), headers={"x-lectr-key": secret}).status != wanted:
        assert time.monotonic() - began < 3
    return time.monotonic() - began
