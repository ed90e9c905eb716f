"""Anthropic's messages: counters are overwritten, never added."""

import json
from typing import Any

from tests.upstream.formats.streams import event, fed, learned


def start(**usage: Any) -> bytes:
    message = {"id": "m", "model": "made-up-claude", "usage": usage}
    return event({"type": "message_start", "message": message}, "message_start")


def delta(**usage: Any) -> bytes:
    return event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}, "message_delta")


STOP = event({"type": "message_stop"}, "message_stop")


def test_each_field_of_a_delta_that_is_not_null_overwrites() -> None:
    body = start(input_tokens=10, cache_read_input_tokens=4, output_tokens=1, service_tier="standard")
    body += event({"type": "ping"}, "ping")
    body += delta(output_tokens=20, input_tokens=None) + delta(output_tokens=30, cache_read_input_tokens=5) + STOP
    reply = learned("anthropic-messages", body)
    assert reply.usage == {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "output_tokens": 30,
        "service_tier": "standard",
    }
    assert (reply.response_model, reply.service_tier) == ("made-up-claude", "standard")
    assert reply.ended
    assert reply.usage_complete


def test_a_second_message_start_overwrites_as_well() -> None:
    body = start(input_tokens=10, output_tokens=1) + delta(output_tokens=5)
    body += start(input_tokens=40, output_tokens=2) + delta(output_tokens=9) + STOP
    assert learned("anthropic-messages", body).usage == {"input_tokens": 40, "output_tokens": 9}


def test_before_the_delta_the_counters_are_only_those_seen_so_far() -> None:
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "four"}}
    thought = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "six..."}}
    call = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}}
    body = start(input_tokens=10, output_tokens=1) + event(text) + event(thought) + event(call)
    reply = learned("anthropic-messages", body)
    assert not reply.usage_complete
    assert not reply.ended
    assert reply.output_characters == 4 + 6 + 5


def test_trailing_spaces_and_windows_line_ends_do_not_matter() -> None:
    body = (start(input_tokens=10, output_tokens=1) + delta(output_tokens=3) + STOP).replace(b"\n", b"\r\n")
    body = body.replace(b"}\r\n", b"}      \r\n")
    reply = learned("anthropic-messages", body)
    assert reply.usage == {"input_tokens": 10, "output_tokens": 3}
    assert reply.ended


def test_after_a_fallback_the_model_that_served_is_named() -> None:
    passes = [
        {"type": "message", "model": "made-up-claude", "input_tokens": 5, "output_tokens": 0},
        {"type": "fallback_message", "model": "made-up-second", "input_tokens": 6, "output_tokens": 7},
    ]
    body = start(input_tokens=5, output_tokens=0) + delta(input_tokens=6, output_tokens=7, iterations=passes) + STOP
    assert learned("anthropic-messages", body).response_model == "made-up-second"


def test_an_error_event_ends_the_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    reply = learned("anthropic-messages", start(input_tokens=10, output_tokens=1) + event(error, "error"))
    assert reply.provider_error == "overloaded_error"
    assert reply.ended
    assert not reply.usage_complete


def test_a_document_is_read_whole() -> None:
    document = {
        "type": "message",
        "model": "made-up-claude",
        "content": [{"type": "text", "text": "abc"}, {"type": "tool_use", "input": {"a": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "service_tier": "priority"},
    }
    reply = learned("anthropic-messages", json.dumps(document).encode())
    assert reply.usage == document["usage"]
    assert reply.service_tier == "priority"
    assert reply.ended
    error = {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}, "request_id": "r"}
    assert learned("anthropic-messages", json.dumps(error).encode()).provider_error == "not_found_error"


def test_odd_fields_are_passed_over() -> None:
    odd = event({"type": "message_delta", "delta": {"text": 7}, "usage": {"output_tokens": 9}, "message": []})
    reply = learned("anthropic-messages", start(input_tokens=1, output_tokens=1) + odd + STOP)
    assert reply.usage == {"input_tokens": 1, "output_tokens": 9}


def test_usage_lectr_did_not_ask_for_is_left_alone() -> None:
    body = start(input_tokens=1, output_tokens=1) + b'data: {"type":"x","usage":null}\n\n' + STOP
    assert fed("anthropic-messages", [body], usage_added=False)[1] == body
