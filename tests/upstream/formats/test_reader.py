"""Whatever comes, the client gets its bytes and the request never sees an exception."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain import Reply
from app.upstream.formats import reader_for
from app.upstream.formats.openai_chat import ChatReader
from tests.upstream.formats.streams import DONE, chat_chunk, cut, event, fed, usage_chunk

FORMATS = (
    "openai-chat",
    "openai-completions",
    "openai-responses",
    "openai-embeddings",
    "openai-images",
    "openai-audio",
    "anthropic-messages",
)
KEYS = (
    "usage", "model", "choices", "delta", "content", "message", "type", "response", "error", "service_tier", "item",
    "x_groq", "prompt_tokens", "input_tokens", "output", "iterations", "duration", "finish_reason", "tool_calls",
)  # fmt: skip

values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["response.completed", "message_delta", "error", "fallback_message", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
documents = values.map(lambda value: json.dumps(value).encode())
noise = st.binary(max_size=60)
bodies = st.one_of(
    st.lists(st.one_of(documents.map(lambda text: b"data: " + text + b"\n\n"), noise), max_size=6).map(b"".join),
    documents,
    noise,
)
cuts = st.lists(st.integers(0, 5_000), max_size=8)


@given(st.sampled_from(FORMATS), bodies, cuts)
@settings(max_examples=800, deadline=None)
@example("openai-chat", b"[" * 100_000, [])
@example("openai-responses", b'data: {"response":' + b"[" * 100_000 + b"\n\n", [])
def test_any_bytes_pass_as_they_are_and_nothing_is_raised(format: str, body: bytes, at: list[int]) -> None:
    reply, client = fed(format, cut(body, at))
    assert client == body
    assert isinstance(reply, Reply)


@given(st.sampled_from(FORMATS), bodies, cuts)
@settings(max_examples=400, deadline=None)
def test_how_the_bytes_were_cut_changes_nothing(format: str, body: bytes, at: list[int]) -> None:
    for usage_added in (False, True):
        whole = fed(format, [body], usage_added=usage_added)
        assert repr(fed(format, cut(body, at), usage_added=usage_added)) == repr(whole)


lines_between = st.sampled_from([b"", b": keep-alive\n\n", b"\n", b"event: x\n", b"retry: 3\n", b"\r\n"])
chunks = st.one_of(
    st.text(max_size=10).map(lambda text: chat_chunk(text)),
    st.text(max_size=10).map(lambda text: chat_chunk(text, usage=None)),
    st.just({"choices": [], "id": "", "model": ""}),
    st.just({"choices": [], "id": "", "usage": None}),
)
ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(chunks, lines_between), max_size=6), ends, cuts, st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_client_gets_what_it_would_have_got_without_lectr(
    parts: list[tuple[dict[str, Any], bytes]], end: str, at: list[int], done: bool
) -> None:
    asked, wanted = b"", b""
    for chunk, between in parts:
        asked += between + event(chunk, end=end)
        without = {key: value for key, value in chunk.items() if key != "usage" or value is not None}
        wanted += between + event(without, end=end)
    last = event("[DONE]", end=end) if done else b""
    asked += event(usage_chunk(11, 5), end=end) + last
    wanted += last
    reply, client = fed("openai-chat", cut(asked, at), usage_added=True)
    assert client == wanted
    assert reply.usage == usage_chunk(11, 5)["usage"]


@pytest.mark.parametrize("usage_added", [False, True])
def test_a_fault_in_the_reader_costs_the_reading_and_no_byte(
    usage_added: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ChatReader, *given: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(ChatReader, "read_event", broken)
    monkeypatch.setattr(ChatReader, "read_plain", broken)
    body = event(chat_chunk("a", usage=None)) + event(usage_chunk(1, 2)) + DONE
    for size in (1, 9, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        reader = reader_for("openai-chat", usage_added=usage_added)
        assert reader is not None
        assert b"".join([*(reader.feed(piece) for piece in pieces), reader.finish()]) == body
        assert reader.reply.reader_failed


def test_a_truncated_document_is_not_whole() -> None:
    reply, _ = fed("openai-chat", ['{"model":"m","choices":[{"message":{"content":"é234567'.encode()])
    assert not reply.ended
    assert not reply.reader_failed
    assert 7 <= reply.output_characters <= 8
    assert fed("anthropic-messages", [b'{"model":"m","content":[{"type":"text","text":"ab'])[0].output_characters == 3
    assert fed("openai-chat", [b'{"model":"m"'])[0].output_characters == 0


def test_a_stream_of_gigabytes_is_not_kept() -> None:
    import tracemalloc

    reader = reader_for("openai-chat", usage_added=True)
    assert reader is not None
    piece = b"x" * 65536
    reader.feed(b"data: ")
    tracemalloc.start()
    try:
        for _ in range(3000):
            reader.feed(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
