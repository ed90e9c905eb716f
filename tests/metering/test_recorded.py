"""What the ledger keeps of a usage: small, without free text, and enough to split it again."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import Reply
from app.metering import recorded
from app.metering.recorded import MAX_BYTES
from app.metering.usage import split_usage, usage_from_json, usage_json

ENDPOINTS = ("chat.completions", "responses", "messages", "embeddings", "images.generations", "audio.transcriptions")
PROVIDERS = ("openai", "anthropic", "groq", "gemini", "azure")
KEYS = (
    "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens", "cached_tokens", "seconds",
    "prompt_tokens_details", "input_tokens_details", "input_token_details", "completion_tokens_details",
    "output_tokens_details", "audio_tokens", "image_tokens", "reasoning_tokens", "cache_write_tokens",
    "cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens", "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens", "server_tool_use", "web_search_requests", "speed", "inference_geo", "iterations",
    "type", "model", "service_tier", "cached_tokens_details", "thinking_tokens",
)  # fmt: skip

leaves: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.integers(),
    st.floats(),
    st.sampled_from(["12", "3.5", "message", "compaction", "advisor_message", "fast", "us", "made-up-1", "a b"]),
    st.text(max_size=4),
)
inner = st.dictionaries(st.sampled_from(KEYS), leaves, max_size=5)
details = st.dictionaries(st.sampled_from(KEYS), leaves | inner, max_size=5)
usages = st.dictionaries(st.sampled_from(KEYS), leaves | details | st.lists(inner, max_size=4), max_size=8)


counts = st.integers(0, 10**6) | st.integers(0, 2**60) | st.floats(0, 1e3) | st.floats()
names = st.sampled_from(["default", "us", "a b", "", "a"])
whole = st.dictionaries(st.sampled_from((*KEYS, "queue_time", "a key", "k" * 70)), counts | names, max_size=6)


@given(st.dictionaries(st.sampled_from((*KEYS, "total_time", "é")), counts | names | whole, max_size=8))
@settings(max_examples=1500, deadline=None)
def test_what_is_kept_as_it_came_is_what_would_be_kept_of_it(usage: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "_PLAIN_BYTES", -1)
        expected = usage_json(Reply(usage=usage))
    assert usage_json(Reply(usage=usage)) == expected


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 9, "queue_time": 0.019, "prompt_time": 1e-05, "x_details": {"cached_tokens": 0}, "empty": {}},
        {"input_tokens": 9, "service_tier": "standard", "cache_creation": {"ephemeral_5m_input_tokens": 1}},
    ],
)
def test_a_usual_usage_is_kept_as_it_came(usage: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(recorded, "_kept")
    assert json.loads(usage_json(Reply(usage=usage)) or "") == usage


@given(st.sampled_from(PROVIDERS), st.sampled_from(ENDPOINTS), usages, st.integers(0, 5), st.integers(0, 50))
@settings(max_examples=1500, deadline=None)
def test_a_row_splits_again_as_its_answer_did(
    provider: str, endpoint: str, usage: dict[str, Any], searches: int, characters: int
) -> None:
    reply = Reply(usage=usage, web_search_calls=searches)
    first = split_usage(provider, endpoint, reply, input_characters=characters)
    text = usage_json(reply, input_characters=characters)
    assert usage_from_json(provider, endpoint, text) == first


@given(st.dictionaries(st.text(max_size=30), leaves | st.lists(leaves, max_size=3), max_size=10))
@settings(max_examples=300, deadline=None)
def test_any_object_is_kept_as_json_without_free_text(usage: dict[str, Any]) -> None:
    text = usage_json(Reply(usage=usage))
    if text is not None:
        assert len(text) <= MAX_BYTES
        assert all(isinstance(value, int | float) for key, value in json.loads(text).items() if key not in KEYS)


def test_the_providers_names_stay_at_the_top() -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 4,
        "service_tier": "priority",
        "note": "a secret prompt",
        "iterations": [{"type": "compaction", "model": "made-up-1", "input_tokens": 1, "text": "another secret"}],
        "prompt": {"cached_tokens": 1, "why": "third secret"},
        "queue_time": 0.25,
    }
    text = usage_json(Reply(usage=usage, web_search_calls=2), input_characters=9)
    assert text is not None
    assert "secret" not in text
    assert " " not in text
    assert json.loads(text) == {
        "input_tokens": 3,
        "output_tokens": 4,
        "service_tier": "priority",
        "iterations": [{"type": "compaction", "model": "made-up-1", "input_tokens": 1}],
        "prompt": {"cached_tokens": 1},
        "queue_time": 0.25,
        "lectr_web_search_calls": 2,
        "lectr_input_characters": 9,
    }


@pytest.mark.parametrize("kind", ["message", "compaction", "advisor_message"])
def test_many_passes_still_fit_and_are_billed_the_same(kind: str) -> None:
    item = {
        "type": kind,
        "model": "made-up-1",
        "input_tokens": 7,
        "output_tokens": 3,
        "cache_creation": {"ephemeral_1h_input_tokens": 2},
    }
    usage = {"input_tokens": 700, "output_tokens": 300, "iterations": [item] * 100}
    reply = Reply(usage=usage)
    text = usage_json(reply)
    assert text is not None
    assert len(text) <= MAX_BYTES
    first, again = split_usage("anthropic", "messages", reply), usage_from_json("anthropic", "messages", text)
    assert first is not None
    assert again is not None
    for name in ("input_tokens", "output_tokens", "cache_write_1h_input_tokens"):
        assert getattr(again, name) == getattr(first, name)
        assert sum(getattr(each.usage, name) for each in again.extra_passes) == sum(
            getattr(each.usage, name) for each in first.extra_passes
        )


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", '{"prompt_tokens":{}}'])
def test_a_row_without_usage_has_none(text: str | None) -> None:
    assert usage_from_json("openai", "chat.completions", text) is None
    assert usage_json(Reply()) is None
