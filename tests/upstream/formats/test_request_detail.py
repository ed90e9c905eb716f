"""How long a prompt was and what it used, without a word of it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.formats import RequestDetail, request_detail

BASE64 = "iVBORw0KGgo" * 50


def detail(body: dict[str, Any], endpoint: str = "chat.completions") -> RequestDetail:
    return request_detail("openai-chat", endpoint, json.dumps(body).encode())


def test_the_text_of_messages_system_prompt_input_and_tools_is_counted_in_utf8() -> None:
    assert detail({"model": "m", "messages": [{"role": "user", "content": "héllo"}]}).prompt_bytes == 6
    parts = [{"type": "text", "text": "ab"}, {"type": "text", "text": "cd"}]
    assert detail({"messages": [{"role": "user", "content": parts}], "system": "xyz"}).prompt_bytes == 7
    assert detail({"prompt": ["ab", "c"]}).prompt_bytes == 3
    assert detail({"instructions": "ab", "input": [{"role": "user", "content": "c"}]}).prompt_bytes == 3
    tool = {"type": "function", "function": {"name": "look", "description": "up"}}
    assert detail({"messages": [], "tools": [tool]}).prompt_bytes == 6


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
        {"type": "file", "file": {"file_data": BASE64}},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64}},
    ],
)
def test_no_base64_and_no_address_is_counted(part: dict[str, Any]) -> None:
    assert detail({"messages": [{"role": "user", "content": [part]}]}).prompt_bytes == 0


@pytest.mark.parametrize(
    ("body", "used"),
    [
        ({}, ()),
        ({"tools": []}, ()),
        ({"tools": [{"type": "function"}]}, ("tools",)),
        ({"tools": [{"type": "function"}], "parallel_tool_calls": True}, ("parallel_tools", "tools")),
        ({"messages": [{"tool_calls": [{}, {}]}]}, ("parallel_tools",)),
        ({"messages": [{"content": [{"type": "tool_use"}, {"type": "tool_use"}]}]}, ("parallel_tools",)),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, ("images",)),
        ({"messages": [{"content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]}, ("images",)),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]}, ("images",)),
        ({"messages": [{"content": [{"type": "input_audio"}]}]}, ("audio",)),
        ({"modalities": ["text", "audio"]}, ("audio",)),
        ({"input": [{"content": [{"type": "input_file"}]}]}, ("files",)),
        ({"response_format": {"type": "json_object"}}, ("json_mode",)),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, ("json_schema",)),
        ({"response_format": {"type": "text"}}, ()),
        ({"text": {"format": {"type": "json_schema"}}}, ("json_schema",)),
        ({"reasoning_effort": "low"}, ("reasoning",)),
        ({"reasoning_effort": "none"}, ()),
        ({"reasoning": {"effort": "high"}}, ("reasoning",)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ("reasoning",)),
        ({"thinking": {"type": "disabled"}}, ()),
        ({"tools": [{"type": "web_search_20250305"}]}, ("tools", "web_search")),
        ({"web_search_options": {}}, ("web_search",)),
    ],
)
def test_what_was_used_is_named(body: dict[str, Any], used: tuple[str, ...]) -> None:
    assert detail(body).used == used


def test_speech_is_counted_in_characters() -> None:
    assert detail({"model": "m", "input": "déjà"}, "audio.speech").input_characters == 4
    assert detail({"model": "m", "input": "abc"}, "embeddings").input_characters == 0


keys = st.sampled_from(["messages", "tools", "content", "type", "input", "thinking", "text"])
values: Any = st.recursive(
    st.none() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=400, deadline=None)
def test_no_body_raises(body: bytes) -> None:
    assert request_detail(None, "chat.completions", body).prompt_bytes >= 0


def test_a_prompt_nested_deep_is_counted_without_recursion() -> None:
    body = b'{"messages":' + b"[" * 900 + b'"ab"' + b"]" * 900 + b"}"
    assert request_detail(None, "chat.completions", body).prompt_bytes in (0, 2)


MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "name"]), st.text(max_size=5) | st.just(["a"]), min_size=1)
    | st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=8)})
    | st.text(max_size=2),
    max_size=4,
)


@given(st.fixed_dictionaries({"messages": MESSAGES}, optional={"n": st.just(1), "prompt": st.text(max_size=4)}))
@settings(max_examples=300, deadline=None)
def test_a_plain_chat_says_what_any_request_with_its_messages_says(body: dict[str, Any]) -> None:
    assert detail(body) == detail(body, "responses")
