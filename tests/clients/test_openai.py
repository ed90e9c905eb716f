"""OpenAI's SDK through Lectr sees what it sees without it, and each request has its exact cost."""

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import openai
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from app.demo.standin import StandIn
from tests.api.serving import Lectr
from tests.clients.conftest import BOX_KEY
from tests.clients.seen import LONG, QUESTION, cost, forwarded, only_row, raised_by, same_both_ways

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}
RESPONSES_TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": WEATHER["function"]["parameters"],
    "strict": False,
}
Call = Callable[[OpenAI], Any]


class Verdict(pydantic.BaseModel):
    label: str
    score: int


@pytest.fixture
def directly(direct: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{direct}/openai/v1", api_key="sk-any", max_retries=0) as client:
        yield client


@pytest.fixture
def through(lectr: Lectr, feature: str) -> Iterator[OpenAI]:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    with OpenAI(base_url=f"{lectr.url}/v1", api_key="sk-any", default_headers=headers, max_retries=0) as client:
        yield client


def chat(**more: Any) -> Call:
    return lambda client: client.chat.completions.create(**{"model": "gpt-4o", "messages": QUESTION, **more})


def streamed_chat(**more: Any) -> Call:
    return lambda client: list(chat(stream=True, **more)(client))


def tool_in_a_stream(client: OpenAI) -> Any:
    with client.chat.completions.stream(model="gpt-4o", messages=QUESTION, tools=[WEATHER]) as stream:
        return [event.type for event in stream], stream.get_final_completion()


def parsed(client: OpenAI) -> Any:
    return client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Verdict)


def response(**more: Any) -> Call:
    return lambda client: client.responses.create(**{"model": "gpt-4o", "input": "Where is my order?", **more})


def streamed_response(**more: Any) -> Call:
    def call(client: OpenAI) -> Any:
        given: Any = {"model": "gpt-6-luna", "input": "Where is my order?", **more}
        with client.responses.stream(**given) as stream:
            return [event.type for event in stream], stream.get_final_response()

    return call


CALLS: dict[str, tuple[Call, str]] = {
    "chat": (chat(), "chat.completions"),
    "chat with a cached prompt": (chat(messages=LONG), "chat.completions"),
    "chat that reasons": (chat(model="gpt-6-luna"), "chat.completions"),
    "chat cut short": (chat(max_completion_tokens=3), "chat.completions"),
    "stream": (streamed_chat(), "chat.completions"),
    "stream with usage": (streamed_chat(stream_options={"include_usage": True}), "chat.completions"),
    "stream that declines usage": (streamed_chat(stream_options={"include_usage": False}), "chat.completions"),
    "stream that reasons": (streamed_chat(model="gpt-6-luna", messages=LONG), "chat.completions"),
    "tool": (chat(tools=[WEATHER]), "chat.completions"),
    "tool in a stream": (tool_in_a_stream, "chat.completions"),
    "structured": (parsed, "chat.completions"),
    "response": (response(), "responses"),
    "response with a tool": (response(tools=[RESPONSES_TOOL]), "responses"),
    "streamed response": (streamed_response(), "responses"),
    "streamed response with a tool": (streamed_response(tools=[RESPONSES_TOOL]), "responses"),
    "embeddings": (
        lambda client: client.embeddings.create(model="text-embedding-3-small", input=["a", "second text"]),
        "embeddings",
    ),
    "embeddings of tokens": (
        lambda client: client.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=8),
        "embeddings",
    ),
    "completion": (
        lambda client: client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5),
        "completions",
    ),
    "streamed completion": (
        lambda client: list(
            client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5, stream=True)
        ),
        "completions",
    ),
    "moderation": (lambda client: client.moderations.create(input="hello"), "moderations"),
    "image": (lambda client: client.images.generate(model="gpt-image-1", prompt="a lantern"), "images.generations"),
    "speech": (
        lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content.hex(),
        "audio.speech",
    ),
    "transcription": (
        lambda client: client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" * 9000)),
        "audio.transcriptions",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_sees_the_same(lectr: Lectr, directly: OpenAI, through: OpenAI, feature: str, name: str) -> None:
    call, endpoint = CALLS[name]
    same_both_ways(call, directly, through)
    row = only_row(lectr, feature)
    assert (row["provider"], row["endpoint"], row["outcome"], row["status"]) == ("openai", endpoint, "ok", 200)
    assert row["cost_picousd"] is not None, row["cost_reason"]
    assert row["usage_source"] == ("none" if name == "moderation" else row["usage_source"])


@pytest.mark.parametrize("name", [name for name in CALLS if "chat" in name or "stream" in name or "tool" in name])
def test_the_cost_is_exact(lectr: Lectr, directly: OpenAI, through: OpenAI, feature: str, name: str) -> None:
    """What the provider counted, times the registry's rates, whether or not the program asked for usage."""
    call, endpoint = CALLS[name]
    call(through)
    row = only_row(lectr, feature)
    usage = row["usage_json"]
    asked, answered = ("input", "output") if endpoint == "responses" else ("prompt", "completion")
    cached = usage.get(f"{asked}_tokens_details", {}).get("cached_tokens", 0)
    counted = usage[f"{asked}_tokens"], usage[f"{answered}_tokens"]
    assert row["cost_picousd"] == cost(
        "openai", row["request_model"], input=counted[0] - cached, cached=cached, output=counted[1]
    )
    assert row["usage_source"] == "provider"
    assert "estimated" not in row["flags"]


def test_a_stream_costs_what_the_whole_answer_costs(lectr: Lectr, through: OpenAI, feature: str) -> None:
    whole = through.chat.completions.create(model="gpt-4o", messages=QUESTION).usage
    assert whole is not None
    list(through.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True, extra_headers=other(feature)))
    row = only_row(lectr, f"other {feature}")
    assert (row["input_tokens"], row["output_tokens"]) == (whole.prompt_tokens, whole.completion_tokens)
    assert row["cost_picousd"] == cost("openai", "gpt-4o", input=whole.prompt_tokens, output=whole.completion_tokens)


def other(feature: str) -> dict[str, str]:
    return {"X-Lectr-Feature": f"other {feature}"}


def test_the_answer_carries_its_id_provider_and_cost(lectr: Lectr, through: OpenAI, feature: str) -> None:
    raw = through.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
    row = only_row(lectr, feature)
    assert raw.headers["x-lectr-request-id"] == row["id"]
    assert raw.headers["x-lectr-provider"] == "openai"
    assert raw.headers["x-lectr-cost-usd"] == row["cost_usd"]
    assert raw.parse()._request_id == row["provider_request_id"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_errors_are_raised_as_with_the_provider(
    lectr: Lectr, directly: OpenAI, through: OpenAI, feature: str, status: int, stream: bool
) -> None:
    call = chat(model=f"gpt-error-{status}", stream=stream)
    told = same_both_ways(lambda client: raised_by(lambda: call(client), openai.APIStatusError), directly, through)
    assert told["status_code"] == status
    row = only_row(lectr, feature)
    assert (row["status"], row["outcome"], row["error_source"]) == (status, "provider_error", "provider")
    assert row["cost_picousd"] == 0


@pytest.mark.parametrize("fault", ["midstream", "reset"])
def test_a_stream_that_fails_inside_is_raised_as_with_the_provider(
    lectr: Lectr, directly: OpenAI, through: OpenAI, feature: str, fault: str
) -> None:
    call = streamed_chat(model=f"gpt-error-{fault}")
    told = same_both_ways(lambda client: raised_by(lambda: call(client), openai.APIError)["class"], directly, through)
    assert told == {"midstream": "APIError", "reset": "APIConnectionError"}[fault]
    assert only_row(lectr, feature)["outcome"] == {"midstream": "provider_error", "reset": "upstream_reset"}[fault]


def test_retries_are_the_sdks_own_and_each_has_its_row(lectr: Lectr, through: OpenAI, feature: str) -> None:
    with pytest.raises(openai.RateLimitError):
        through.with_options(max_retries=1).chat.completions.create(model="gpt-error-429", messages=QUESTION)
    rows = lectr.json("/api/requests", feature=feature)["requests"]
    assert [row["status"] for row in rows] == [429, 429]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "missing_lectr_key"), ({"X-Lectr-Key": "lc_key_" + "x" * 32}, "invalid_lectr_key")],
    ids=["none", "unknown"],
)
def test_lectrs_own_refusals_are_errors_of_the_sdk(lectr: Lectr, headers: dict[str, str], code: str) -> None:
    with (
        OpenAI(base_url=f"{lectr.url}/v1", api_key="sk-any", default_headers=headers, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert caught.value.code == code


def test_the_lectr_key_alone_uses_the_boxs_own_key(lectr: Lectr, standin: StandIn, feature: str) -> None:
    headers = {"X-Lectr-Feature": feature}
    with OpenAI(base_url=f"{lectr.url}/v1", api_key=lectr.key, default_headers=headers, max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-4o", messages=QUESTION).choices
    sent = standin.seen[-1].headers
    assert sent["authorization"] == f"Bearer {BOX_KEY}"
    assert lectr.key not in str(sent)
    assert only_row(lectr, feature)["key"] == "tests"


def test_the_provider_gets_what_the_sdk_sent_and_nothing_of_lectrs(
    standin: StandIn, directly: OpenAI, through: OpenAI
) -> None:
    for client in (directly, through):
        chat(extra_headers={"X-Lectr-Task": "extraction"} if client is through else {"X-Own": "1"})(client)
    expected, sent = standin.seen[-2], standin.seen[-1]
    assert forwarded(sent) == {name: value for name, value in forwarded(expected).items() if name != "x-own"}
    assert sent.headers["authorization"] == "Bearer sk-any"
    assert (sent.path, sent.body) == (expected.path, expected.body)


def test_other_providers_are_reached_by_their_models(lectr: Lectr, direct: str, through: OpenAI, feature: str) -> None:
    gemini = through.chat.completions.create(model="gemini-2.5-flash", messages=QUESTION).usage
    groq = list(
        through.chat.completions.create(
            model="openai/gpt-oss-20b", messages=QUESTION, stream=True, extra_headers=other(feature)
        )
    )
    assert gemini is not None
    assert groq
    row, streamed = only_row(lectr, feature), only_row(lectr, f"other {feature}")
    assert (row["provider"], streamed["provider"]) == ("gemini", "groq")
    # Gemini's thinking stands in the total alone, and is billed as output.
    output = gemini.total_tokens - gemini.prompt_tokens
    assert row["cost_picousd"] == cost("gemini", "gemini-2.5-flash", input=gemini.prompt_tokens, output=output)
    assert streamed["cost_picousd"] == cost(
        "groq", "openai/gpt-oss-20b", input=streamed["input_tokens"], output=streamed["output_tokens"]
    )


def test_models_are_those_of_the_registry(lectr: Lectr, through: OpenAI) -> None:
    listed = {model.id: model.owned_by for model in through.models.list()}
    assert (listed["gpt-6-luna"], listed["openai/gpt-oss-120b"]) == ("openai", "groq")
    assert through.models.retrieve("gpt-6-luna").owned_by == "openai"
    with pytest.raises(openai.NotFoundError):
        through.models.retrieve("nothing-like-it")


@pytest.mark.anyio
async def test_async_streams_and_a_client_that_leaves(lectr: Lectr, standin: StandIn, feature: str) -> None:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    async with AsyncOpenAI(
        base_url=f"{lectr.url}/v1", api_key="sk-any", default_headers=headers, max_retries=0
    ) as client:
        whole = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, extra_headers=other(feature))
        async with client.chat.completions.stream(
            model="gpt-4o", messages=QUESTION, extra_headers=other(feature)
        ) as stream:
            assert (await stream.get_final_completion()).choices[0].message.content == whole.choices[0].message.content
        before = standin.left_early
        leaving: Any = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        async for _ in leaving:
            break
        await leaving.close()
        with anyio.fail_after(5):
            while standin.left_early == before:
                await anyio.sleep(0.01)
    row = await anyio.to_thread.run_sync(only_row, lectr, feature)
    assert row["outcome"] in ("client_closed", "interrupted")
    assert row["usage_source"] == "estimated"


@pytest.mark.anyio
async def test_async_calls_beside_each_other_each_get_their_own_answer(lectr: Lectr, feature: str) -> None:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    answers: dict[int, str] = {}
    async with AsyncOpenAI(base_url=f"{lectr.url}/v1", api_key="sk-any", default_headers=headers) as client:

        async def ask(number: int) -> None:
            answer = await client.embeddings.create(
                model="text-embedding-3-small", input=f"text {number}", dimensions=4, encoding_format="float"
            )
            answers[number] = str(answer.data[0].embedding)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, number)
    assert len(set(answers.values())) == 20
