"""Chat and legacy completions: what is learned of each dialect, and what is taken out again."""

import json
from typing import Any

import pytest

from tests.upstream.formats.streams import DONE, chat_chunk, event, fed, learned, usage_chunk


def test_a_stream_tells_model_tier_usage_and_characters() -> None:
    body = event(chat_chunk("Hé", service_tier="default", usage=None)) + event(usage_chunk(7, 2)) + DONE
    reply = learned("openai-chat", body)
    assert (reply.response_model, reply.service_tier, reply.output_characters) == ("made-up-1", "default", 2)
    assert reply.usage == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert reply.ended
    assert reply.usage_complete
    assert not reply.reader_failed


def test_all_text_of_all_choices_counts() -> None:
    call = {"function": {"arguments": '{"a":1}'}}
    deltas: list[dict[str, Any]] = [
        {"content": "ab", "reasoning": "cde"},
        {"reasoning_content": "f", "refusal": "gh"},
        {"tool_calls": [call, call]},
        {"function_call": {"arguments": "xyz"}},
    ]
    chunk = {"choices": [{"delta": delta} for delta in deltas] + [{"text": "12345"}]}
    assert learned("openai-chat", event(chunk)).output_characters == 2 + 3 + 1 + 2 + 14 + 3 + 5


def test_the_last_usage_wins_and_nothing_is_summed() -> None:
    last = chat_chunk(None, usage={"prompt_tokens": 5, "completion_tokens": 3})
    last["x_groq"] = {"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    body = event(last) + event(usage_chunk(5, 4)) + DONE
    reply = learned("openai-chat", body)
    assert reply.usage is not None
    assert reply.usage["completion_tokens"] == 4


def test_groqs_own_usage_is_enough() -> None:
    chunk = chat_chunk() | {"x_groq": {"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 3}}}
    assert learned("openai-chat", event(chunk) + DONE).usage == {"prompt_tokens": 5, "completion_tokens": 3}


def test_azures_first_chunk_passes_and_names_no_model() -> None:
    first = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
    body = event(first) + event(chat_chunk("x")) + event(usage_chunk(1, 1)) + DONE
    reply, client = fed("openai-chat", [body], usage_added=True)
    assert reply.response_model == "made-up-1"
    assert client == event(first) + event(chat_chunk("x")) + DONE


def test_geminis_usage_on_chunks_with_choices_stays_and_the_last_counts() -> None:
    chunks = [
        chat_chunk("a", usage={"prompt_tokens": 3, "completion_tokens": n, "total_tokens": 9 + n}) for n in (1, 2)
    ]
    body = b"".join(event(chunk) for chunk in chunks)
    reply, client = fed("openai-chat", [body], usage_added=True)
    assert client == body
    assert reply.usage == chunks[1]["usage"]
    assert not reply.usage_complete


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_usage_chunk_is_withheld_whatever_the_line_ends(end: str) -> None:
    kept = event(chat_chunk("a"), end=end)
    body = kept + event(usage_chunk(1, 2), end=end) + event("[DONE]", end=end)
    for size in (1, 2, 3, 7, len(body)):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        reply, client = fed("openai-chat", chunks, usage_added=True)
        assert client == kept + event("[DONE]", end=end)
        assert reply.usage is not None


def test_a_usage_chunk_without_its_blank_line_at_the_end_is_withheld_too() -> None:
    body = event(chat_chunk("a")) + event(usage_chunk(1, 2)).rstrip()
    reply, client = fed("openai-chat", [body], usage_added=True)
    assert client == event(chat_chunk("a"))
    assert reply.usage is not None


def test_a_comment_that_came_with_the_usage_chunk_stays() -> None:
    reply, client = fed("openai-chat", [b": keep\n" + event(usage_chunk(1, 2)) + DONE], usage_added=True)
    assert client == b": keep\n\n" + DONE
    assert reply.usage is not None


def test_whole_events_are_passed_as_the_same_object_and_never_later() -> None:
    chunk = event(chat_chunk("now"))
    from app.upstream.formats import reader_for

    reader = reader_for("openai-chat", usage_added=True)
    assert reader is not None
    assert reader.feed(chunk) is chunk
    assert reader.feed(chunk) is chunk


def test_legacy_completions_are_read_and_edited_alike() -> None:
    chunk = '{"id":"cmpl-1","choices":[{"text":"Foo","index":0}],"model":"made-up-instruct","usage":null}'
    body = event(chunk) + event(usage_chunk(3, 1)) + DONE
    reply, client = fed("openai-completions", [body], usage_added=True)
    assert client == event(chunk.replace(',"usage":null', "")) + DONE
    assert reply.output_characters == 3


def test_an_error_in_mid_stream_is_kept_by_its_code_and_ends_it() -> None:
    error = {"error": {"message": "no", "type": "invalid_request_error", "code": "tool_use_failed"}}
    reply = learned("openai-chat", event(chat_chunk("a")) + event(error, "error"))
    assert reply.provider_error == "tool_use_failed"
    assert reply.ended
    assert reply.usage is None
    assert not reply.reader_failed


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"error":{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}}', "invalid_api_key"),
        ('{"error":{"message":"m","type":"server_error","code":null}}', "server_error"),
        ('[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]', "INVALID_ARGUMENT"),
        ('{"error":{"code":"401","message":"m"}}', "401"),
        ('{"error":"down"}', "error"),
    ],
)
def test_an_error_body_is_named_whoever_wrote_it(body: str, name: str) -> None:
    assert learned("openai-chat", body.encode()).provider_error == name


def test_a_document_is_read_whatever_its_content_type_says() -> None:
    document = {**chat_chunk(), "choices": [{"message": {"content": "abc"}}], "usage": {"prompt_tokens": 1}}
    reply, _ = fed("openai-chat", [json.dumps(document).encode()], content_type="text/event-stream")
    assert reply.usage == {"prompt_tokens": 1}
    assert reply.output_characters == 3
    stream = event(usage_chunk(4, 5)) + DONE
    reply, _ = fed("openai-chat", [stream], content_type="application/json")
    assert reply.usage is not None
    assert reply.usage["completion_tokens"] == 5


def test_wrong_types_are_as_good_as_absent() -> None:
    odd = {"model": 7, "service_tier": [], "choices": [{"delta": {"content": [{"text": "ab"}]}}, 3], "usage": "x"}
    good = {"model": "made-up-1", "choices": [], "usage": {"prompt_tokens": "12", "completion_tokens": 1e400}}
    body = event(odd) + event(json.dumps(good)) + DONE
    reply = learned("openai-chat", body)
    assert reply.response_model == "made-up-1"
    assert reply.output_characters == 2
    assert reply.usage == good["usage"]


def test_usage_in_an_event_that_is_no_json_makes_the_reader_fail_not_the_request() -> None:
    reply, client = fed("openai-chat", [b'data: {"choices":[],"usage":{"prompt_tokens":1,}}\n\n' + DONE])
    assert reply.reader_failed
    assert client.endswith(DONE)
    # Where another event brings the usage, nothing was lost.
    assert not learned("openai-chat", b'data: {"usage":{,}\n\n' + event(usage_chunk(1, 1))).reader_failed


def test_a_stream_cut_in_its_usage_chunk_is_no_failure_of_the_reader() -> None:
    body = event(chat_chunk("a")) + event(usage_chunk(1, 2))[:-20]
    reply, client = fed("openai-chat", [body], usage_added=True)
    assert client == body
    assert not reply.reader_failed
    assert not reply.ended
