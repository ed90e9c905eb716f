"""OpenAI's own SDK against the stand-in: what it reads must be what a provider would have sent."""

import base64
from collections.abc import Iterator
from typing import Any

import anyio
import openai
import pydantic
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from app.demo.standin import StandIn

QUESTION: list[Any] = [{"role": "user", "content": "Where is my order?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


class Verdict(pydantic.BaseModel):
    label: str
    score: int
    reasons: list[str]


@pytest.fixture
def client(address: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/openai/v1", api_key="any", max_retries=0) as client:
        yield client


def test_chat_with_usage(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert answer.model == "gpt-4o-2024-08-06"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens == len(answer.choices[0].message.content.split())
    assert answer._request_id


def test_a_stream_carries_the_text_of_the_whole_answer_and_usage_only_when_asked(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-4o", messages=QUESTION).choices[0].message.content
    silent = list(client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in silent) == whole
    assert not any(chunk.usage for chunk in silent)
    assert all(len(chunk.choices) == 1 for chunk in silent)
    asked = list(
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk for chunk in asked if chunk.usage] == asked[-1:]
    assert asked[-1].choices == []


def test_long_prompts_are_cached_and_reasoning_is_counted(client: OpenAI) -> None:
    question: list[Any] = [{"role": "user", "content": "word " * 4000}]
    usage = client.chat.completions.create(model="gpt-6-luna", messages=question).usage
    assert usage
    assert usage.prompt_tokens_details
    assert usage.completion_tokens_details
    assert 0 < (usage.prompt_tokens_details.cached_tokens or 0) < usage.prompt_tokens
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens


def test_a_tool_is_called_and_its_result_answered(client: OpenAI) -> None:
    called = client.chat.completions.create(model="gpt-4o", messages=QUESTION, tools=[WEATHER])
    assert called.choices[0].finish_reason == "tool_calls"
    calls = called.choices[0].message.tool_calls
    assert calls
    assert calls[0].type == "function"
    assert (calls[0].function.name, calls[0].function.arguments) == ("weather", '{"city": "demo", "days": 1}')
    told = [*QUESTION, called.choices[0].message, {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"}]
    answer = client.chat.completions.create(model="gpt-4o", messages=told, tools=[WEATHER])
    assert answer.choices[0].message.content


def test_a_streamed_tool_call_is_put_together_by_the_sdk(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=QUESTION, tools=[WEATHER]) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls
    assert calls[0].function.arguments == '{"city": "demo", "days": 1}'


def test_structured_output_parses(client: OpenAI) -> None:
    chat = client.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Verdict)
    assert chat.choices[0].message.parsed == Verdict(label="demo", score=1, reasons=["demo"])
    answer = client.responses.parse(model="gpt-4o", input="Where?", text_format=Verdict)
    assert answer.output_parsed == Verdict(label="demo", score=1, reasons=["demo"])


def test_responses_whole_and_streamed(client: OpenAI) -> None:
    whole = client.responses.create(model="gpt-4o", input="Where is my order?", instructions="Be brief.")
    assert whole.status == "completed"
    assert whole.output_text
    assert whole.usage
    with client.responses.stream(model="gpt-4o", input="Where is my order?", instructions="Be brief.") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage


def test_responses_tool_call_and_cut_answer(client: OpenAI) -> None:
    tool: Any = {
        "type": "function",
        "name": "weather",
        "parameters": WEATHER["function"]["parameters"],
        "strict": False,
    }
    with client.responses.stream(model="gpt-6-luna", input="Weather?", tools=[tool]) as stream:
        list(stream)
        output = stream.get_final_response().output
    assert [item.type for item in output] == ["reasoning", "function_call"]
    cut = client.responses.create(model="gpt-4o", input="Where?", max_output_tokens=3)
    assert cut.status == "incomplete"
    assert cut.usage
    assert cut.usage.output_tokens == 3


def test_embeddings_as_floats_and_as_the_sdks_own_base64(client: OpenAI) -> None:
    packed = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    plain = client.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert len(packed.data[0].embedding) == 1536
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 2
    short = client.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=8)
    assert (len(short.data[0].embedding), short.usage.prompt_tokens) == (8, 3)


def test_smaller_endpoints(client: OpenAI) -> None:
    assert next(model.id for model in client.models.list()) == "gpt-4o"
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    assert not client.moderations.create(input="hello").results[0].flagged
    image = client.images.generate(model="gpt-image-1", prompt="a lantern")
    assert image.data
    assert base64.b64decode(image.data[0].b64_json or "").startswith(b"\x89PNG")
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content
    heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" * 9000))
    assert heard.text
    text = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5)
    assert text.usage
    assert text.usage.completion_tokens == 5
    streamed = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5, stream=True)
    assert "".join(part.choices[0].text for part in streamed) == text.choices[0].text


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("gpt-error-401", openai.AuthenticationError),
        ("gpt-error-404", openai.NotFoundError),
        ("gpt-error-429", openai.RateLimitError),
        ("gpt-error-500", openai.InternalServerError),
    ],
)
def test_errors_on_demand(client: OpenAI, model: str, error: type[openai.APIStatusError]) -> None:
    for stream in (False, True):
        with pytest.raises(error) as caught:
            client.chat.completions.create(model=model, messages=QUESTION, stream=stream)
        assert caught.value.message


def test_a_stream_that_breaks_and_one_that_fails_inside(client: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-error-midstream", messages=QUESTION, stream=True))
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(model="gpt-error-reset", messages=QUESTION, stream=True))


def test_no_key_and_no_model_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", body={"messages": QUESTION}, cast_to=object)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, extra_headers={"Authorization": openai.Omit()}
        )


def test_azure_by_deployment_and_by_v1(address: str, standin: StandIn) -> None:
    with AzureOpenAI(
        azure_endpoint=f"{address}/azure", api_key="any", api_version="2024-10-21", max_retries=0
    ) as azure:
        chunks = list(
            azure.chat.completions.create(
                model="prod-chat", messages=QUESTION, stream=True, stream_options={"include_usage": True}
            )
        )
    assert (chunks[0].choices, chunks[0].model) == ([], "")
    assert chunks[-1].usage
    assert chunks[-1].model == "gpt-4o-2024-11-20"
    assert standin.seen[-1].path == "/azure/openai/deployments/prod-chat/chat/completions"
    with OpenAI(base_url=f"{address}/azure/openai/v1", api_key="any", max_retries=0) as v1:
        assert v1.responses.create(model="gpt-4o-mini", input="Where?").model == "gpt-4o-mini-2024-07-18"


def test_gemini_hides_its_thinking_in_the_total(address: str) -> None:
    with OpenAI(base_url=f"{address}/gemini/v1beta/openai", api_key="AIza", max_retries=0) as gemini:
        usage = gemini.chat.completions.create(model="gemini-3.8-flash", messages=QUESTION).usage
        assert usage
        assert usage.total_tokens > usage.prompt_tokens + usage.completion_tokens
        with pytest.raises(openai.RateLimitError):
            gemini.chat.completions.create(model="gemini-error-429", messages=QUESTION)


@pytest.mark.anyio
async def test_async_streams_and_a_client_that_leaves(address: str, standin: StandIn) -> None:
    async with AsyncOpenAI(base_url=f"{address}/openai/v1", api_key="any", max_retries=0) as client:
        stream: Any = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text
        before = standin.left_early
        stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        async for _ in stream:
            break
        await stream.close()
    with anyio.fail_after(5):
        while standin.left_early == before:
            await anyio.sleep(0.01)
