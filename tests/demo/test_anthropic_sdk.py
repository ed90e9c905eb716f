"""Anthropic's own SDK against the stand-in."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

QUESTION: list[Any] = [{"role": "user", "content": "Where is my order?"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(address: str) -> Iterator[Anthropic]:
    with Anthropic(base_url=f"{address}/anthropic", api_key="any", max_retries=0) as client:
        yield client


def test_messages_whole_and_streamed_are_the_same(client: Anthropic) -> None:
    whole = client.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=QUESTION)
    assert whole.model == "claude-haiku-4-5-20251001"
    assert whole.stop_reason == "end_turn"
    with client.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert whole.content[0].text == text
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    assert final.usage.output_tokens == len(text.split())


def test_input_tokens_leave_out_the_cached_ones(client: Anthropic) -> None:
    long = client.messages.create(
        model="claude-haiku-5-5", max_tokens=50, system="word " * 4000, messages=QUESTION
    ).usage
    counted = client.messages.count_tokens(model="claude-haiku-5-5", system="word " * 4000, messages=QUESTION)
    assert long.cache_read_input_tokens
    assert long.input_tokens + long.cache_read_input_tokens == counted.input_tokens


def test_thinking_then_text(client: Anthropic) -> None:
    with client.messages.stream(
        model="claude-opus-4-5",
        max_tokens=2000,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=QUESTION,
    ) as stream:
        blocks = [block.type for block in stream.get_final_message().content]
    assert blocks == ["thinking", "text"]


def test_a_tool_is_called_and_its_result_answered(client: Anthropic) -> None:
    with client.messages.stream(model="claude-haiku-5-5", max_tokens=500, messages=QUESTION, tools=[WEATHER]) as stream:
        called = stream.get_final_message()
    assert called.stop_reason == "tool_use"
    block = called.content[0]
    assert block.type == "tool_use"
    assert block.input == {"city": "demo"}
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
    told: list[Any] = [
        *QUESTION,
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(model="claude-haiku-5-5", max_tokens=500, messages=told, tools=[WEATHER])
    assert answer.content[0].type == "text"


def test_a_cut_answer_says_so(client: Anthropic) -> None:
    cut = client.messages.create(model="claude-haiku-5-5", max_tokens=3, messages=QUESTION)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("claude-error-401", anthropic.AuthenticationError),
        ("claude-error-429", anthropic.RateLimitError),
        ("claude-error-529", anthropic.InternalServerError),
    ],
)
def test_errors_on_demand(client: Anthropic, model: str, error: type[anthropic.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(model=model, max_tokens=5, messages=QUESTION)
    assert caught.value.request_id


def test_an_error_inside_a_stream(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded"),
        client.messages.stream(model="claude-error-midstream", max_tokens=50, messages=QUESTION) as stream,
    ):
        list(stream)


def test_models(client: Anthropic) -> None:
    assert [model.id for model in client.models.list()] == ["claude-haiku-5-5", "claude-sonnet-5-5"]


@pytest.mark.anyio
async def test_async_stream(address: str) -> None:
    async with (
        AsyncAnthropic(base_url=f"{address}/anthropic", auth_token="any", max_retries=0) as client,
        client.messages.stream(model="claude-haiku-5-5", max_tokens=500, messages=QUESTION) as stream,
    ):
        assert [text async for text in stream.text_stream]
