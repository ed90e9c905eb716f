"""Anthropic's SDK through Lectr sees what it sees without it, and each request has its exact cost."""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from app.demo.standin import StandIn
from tests import canaries
from tests.api.serving import Lectr
from tests.clients.conftest import BOX_KEY
from tests.clients.seen import QUESTION, cost, forwarded, only_row, plain, raised_by, same_both_ways

MODEL = "claude-haiku-5-5"
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
Call = Callable[[Anthropic], Any]


@pytest.fixture
def directly(direct: str) -> Iterator[Anthropic]:
    with Anthropic(base_url=f"{direct}/anthropic", api_key=canaries.SDK["anthropic"], max_retries=0) as client:
        yield client


@pytest.fixture
def through(lectr: Lectr, feature: str) -> Iterator[Anthropic]:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    with Anthropic(
        base_url=lectr.url, api_key=canaries.SDK["anthropic"], default_headers=headers, max_retries=0
    ) as client:
        yield client


def message(**more: Any) -> Call:
    return lambda client: client.messages.create(**{"model": MODEL, "max_tokens": 300, "messages": QUESTION, **more})


def streamed(**more: Any) -> Call:
    def call(client: Anthropic) -> Any:
        given: Any = {"model": MODEL, "max_tokens": 300, "messages": QUESTION, **more}
        with client.messages.stream(**given) as stream:
            events = [event.type for event in stream]
            return events, stream.get_final_message()

    return call


CALLS: dict[str, Call] = {
    "message": message(),
    "events": lambda client: list(message(stream=True)(client)),
    "stream": streamed(),
    "tool": message(tools=[WEATHER]),
    "tool in a stream": streamed(tools=[WEATHER]),
    "cached system prompt": message(system="word " * 4000),
    "cut short": message(max_tokens=3),
    "thinking": streamed(model="claude-opus-4-5", max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024}),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_sees_the_same_at_its_exact_cost(
    lectr: Lectr, directly: Anthropic, through: Anthropic, feature: str, name: str
) -> None:
    same_both_ways(CALLS[name], directly, through)
    row = only_row(lectr, feature)
    assert (row["provider"], row["endpoint"], row["outcome"]) == ("anthropic", "messages", "ok")
    usage = row["usage_json"]
    assert row["cost_picousd"] == cost(
        "anthropic",
        row["request_model"],
        input=usage["input_tokens"],
        cached=usage.get("cache_read_input_tokens") or 0,
        output=usage["output_tokens"],
    )


def test_counting_tokens_costs_nothing(lectr: Lectr, directly: Anthropic, through: Anthropic, feature: str) -> None:
    counted = same_both_ways(
        lambda client: client.messages.count_tokens(model=MODEL, messages=QUESTION), directly, through
    )
    assert counted.input_tokens > 0
    row = only_row(lectr, feature)
    assert (row["endpoint"], row["cost_picousd"]) == ("messages.count_tokens", 0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 529])
def test_errors_are_raised_as_with_the_provider(
    lectr: Lectr, directly: Anthropic, through: Anthropic, feature: str, status: int
) -> None:
    call = message(model=f"claude-error-{status}")
    told = same_both_ways(lambda client: raised_by(lambda: call(client), anthropic.APIStatusError), directly, through)
    assert told["status_code"] == status
    row = only_row(lectr, feature)
    assert (row["status"], row["error_source"], row["cost_picousd"]) == (status, "provider", 0)


def test_a_stream_that_fails_inside_is_raised_as_with_the_provider(directly: Anthropic, through: Anthropic) -> None:
    call = streamed(model="claude-error-midstream")
    same_both_ways(lambda client: raised_by(lambda: call(client), anthropic.APIError), directly, through)


def test_lectrs_own_refusals_have_anthropics_shape(lectr: Lectr) -> None:
    with (
        Anthropic(base_url=lectr.url, api_key=canaries.SDK["anthropic"], max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        client.messages.create(model=MODEL, max_tokens=5, messages=QUESTION)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
    assert "X-Lectr-Key" in body["error"]["message"]


def test_the_lectr_key_alone_uses_the_boxs_own_key(lectr: Lectr, standin: StandIn, feature: str) -> None:
    with Anthropic(
        base_url=lectr.url, api_key=lectr.key, default_headers={"X-Lectr-Feature": feature}, max_retries=0
    ) as client:
        assert client.messages.create(model=MODEL, max_tokens=30, messages=QUESTION).content
    sent = standin.seen[-1].headers
    assert sent["x-api-key"] == BOX_KEY
    assert lectr.key not in str(sent)
    assert only_row(lectr, feature)["key"] == "tests"


def test_the_provider_gets_the_headers_that_the_sdk_sent(
    standin: StandIn, directly: Anthropic, through: Anthropic
) -> None:
    for client in (directly, through):
        client.beta.messages.create(model=MODEL, max_tokens=5, messages=QUESTION, betas=["context-1m-2025-08-07"])
    expected, sent = standin.seen[-2], standin.seen[-1]
    assert forwarded(sent) == forwarded(expected)
    assert sent.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert sent.headers["anthropic-version"]
    assert (sent.headers["x-api-key"], "authorization" in sent.headers) == (canaries.SDK["anthropic"], False)
    assert (sent.path, sent.query) == (expected.path, expected.query)
    assert sent.body == expected.body


def test_models_have_anthropics_shape(through: Anthropic) -> None:
    assert MODEL in {model.id for model in through.models.list()}
    assert through.models.retrieve(MODEL).type == "model"


@pytest.mark.anyio
async def test_async(lectr: Lectr, directly: Anthropic, feature: str) -> None:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    async with (
        AsyncAnthropic(
            base_url=lectr.url, api_key=canaries.SDK["anthropic"], default_headers=headers, max_retries=0
        ) as client,
        client.messages.stream(model=MODEL, max_tokens=300, messages=QUESTION) as stream,
    ):
        final = await stream.get_final_message()
    assert plain(final) == plain(streamed()(directly)[1])
