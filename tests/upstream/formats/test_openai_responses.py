"""The Responses API: usage comes with the last event, searches are counted by their items."""

import json
from typing import Any

import pytest

from app.upstream.sse import MAX_EVENT_BYTES
from tests.upstream.formats.streams import event, learned

USAGE = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 6, "total_tokens": 26}


def response(kind: str, **fields: Any) -> bytes:
    body = {"id": "r", "model": "made-up-5", "service_tier": "auto", "usage": None, "output": []} | fields
    return event({"type": kind, "sequence_number": 1, "response": body}, kind)


def search(action: str | None) -> dict[str, Any]:
    return {"type": "web_search_call", "status": "completed"} | ({"action": {"type": action}} if action else {})


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete"])
def test_the_last_event_brings_usage_and_the_tier_that_served(last: str) -> None:
    deltas = event({"type": "response.output_text.delta", "delta": "four"})
    deltas += event({"type": "response.function_call_arguments.delta", "delta": "{}"})
    body = response("response.created") + event({"type": "keepalive"}, "keepalive") + deltas
    body += response(last, service_tier="flex", usage=USAGE)
    reply = learned("openai-responses", body)
    assert reply.usage == USAGE
    assert (reply.response_model, reply.service_tier, reply.output_characters) == ("made-up-5", "flex", 6)
    assert reply.ended


def test_a_failed_response_ends_without_usage() -> None:
    reply = learned("openai-responses", response("response.failed", error={"code": "server_error", "message": "x"}))
    assert (reply.provider_error, reply.usage, reply.ended) == ("server_error", None, True)


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
        {"type": "error", "error": {"type": "requests", "code": "rate_limit_exceeded"}},
    ],
)
def test_an_error_event_ends_the_stream(error: dict[str, Any]) -> None:
    reply = learned("openai-responses", response("response.created") + event(error, "error"))
    assert reply.provider_error == "rate_limit_exceeded"
    assert reply.ended


def test_searches_are_counted_once_and_page_views_never() -> None:
    items = [search("search"), search(None), search("open_page"), search("find_in_page"), {"type": "message"}]
    body = b"".join(event({"type": "response.output_item.done", "item": item}) for item in items)
    assert learned("openai-responses", body).web_search_calls == 2
    body += response("response.completed", usage=USAGE, output=items)
    assert learned("openai-responses", body).web_search_calls == 2
    document = {"model": "made-up-5", "usage": USAGE, "output": items}
    assert learned("openai-responses", json.dumps(document).encode()).web_search_calls == 2


def test_a_background_response_has_no_usage_and_is_whole() -> None:
    reply = learned("openai-responses", json.dumps({"model": "m", "status": "queued", "usage": None}).encode())
    assert reply.usage is None
    assert reply.ended
    assert not reply.reader_failed


def test_usage_behind_megabytes_of_output_is_found() -> None:
    output = [
        {"type": "image_generation_call", "result": "a" * (2 * MAX_EVENT_BYTES)},
        {"type": "message", "content": '"usage":{"input_tokens":1}'},
    ]
    fields = {"id": "r", "output": output, "usage": USAGE, "user": None, "metadata": {"usage": "none"}}
    last = event({"type": "response.completed", "response": fields}, "response.completed")
    reply = learned("openai-responses", response("response.created") + last)
    assert reply.usage == USAGE
    assert reply.ended
    assert not reply.reader_failed


def test_usage_lost_in_an_oversized_event_is_said() -> None:
    reply = learned("openai-responses", b"data: " + b"a" * (2 * MAX_EVENT_BYTES) + b"\n\n")
    assert reply.reader_failed
    assert reply.usage is None
