"""Events read at once say and leave the same as events read one by one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.formats.openai_chat import ChatReader
from tests.upstream.formats.streams import DONE, chat_chunk, cut, event, usage_chunk


class OneByOne(ChatReader):
    def read_plain(self, chunk: bytes) -> bytes | None:
        return None


def read(kind: type[ChatReader], chunks: list[bytes], *, usage_added: bool) -> tuple[Any, bytes, bool]:
    reader = kind(usage_added=usage_added)
    client = b"".join([*map(reader.feed, chunks), reader.finish()])
    return msgspec.to_builtins(reader.reply), client, reader.terminal


TEXTS = st.sampled_from(
    ["", "a", "é", "日本", 'say "usage":null', ',"usage":null', "\n", "data: {", "\\u0075", "\u0085"]
)
NULLS = st.sampled_from([{}, {"usage": None}, {"usage": None, "obfuscation": "x"}])
CHUNKS = st.builds(lambda text, null: {**chat_chunk(text), **null}, TEXTS, NULLS)
ODD = st.sampled_from(
    [
        {**chat_chunk("x"), "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}},
        {**chat_chunk("x"), "usage": {"prompt_tokens": 5, "completion_tokens": 6}},
        {**chat_chunk("x"), "nested": {"usage": None}},
        {"model": "made-up-2", "service_tier": "flex", "choices": [{"index": 0, "text": "abc"}], "usage": None},
        {"error": {"code": "overloaded"}},
        {"choices": []},
        {"choices": None},
        usage_chunk(7, 8),
    ]
)  # fmt: skip
WRITTEN = st.one_of(
    st.builds(lambda payload, ascii_: f"data: {json.dumps(payload, separators=(',', ':'), ensure_ascii=ascii_)}\n\n",
              st.one_of(CHUNKS, CHUNKS, CHUNKS, ODD), st.booleans()),
    st.builds(lambda payload: f"data: {json.dumps(payload)}\n\n", CHUNKS),
    st.builds(lambda payload: f"data:{json.dumps(payload)}\r\n\r\n", CHUNKS),
    st.sampled_from(
        [
            ": comment\n\n", "event: ping\ndata: {}\n\n", "data: {\ndata: }\n\n", "data: [1]\n\n", "data: {oops\n\n",
            'data: {"choices":[],"\\u0075sage":null}\n\n', 'data: {"usage":null}\n\n',
            'data: {"a":1, "usage" : null}\n\n',
            'data: {"choices":[],\r"usage":null}\n\n', "data: {}\n\n\n\n", "\n\n",
        ]
    ),
)  # fmt: skip


# Texts as they stand on the wire, among them what is none: an event with it is broken, or says something else.
RAW = st.sampled_from(
    [
        "", "a", "\\n", 'say \\"usage\\":null', "é", "\\ud83d", "\\ud83d\\ude00", "\t", 'a"', '"', "\\", 'a"] ["b',
        'a","b', 'c"]', '"},"finish_reason":null}],"usage":null,"obfuscation":"x', 'x"},"finish_reason":"stop', "\r",
        "\n", "]", ",",
    ]
)  # fmt: skip
LIKE = st.sampled_from(
    [
        '{"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}],"usage":null}',
        '{"model":"m","choices":[{"delta":{"content":"%s"},"finish_reason":null}],"usage":null,"obfuscation":"%s"}',
        '{"choices":[{"delta":{"content":"%s"}}],"obfuscation":"%s","service_tier":"flex","usage":null}',
        '{"model":"m","choices":[{"delta":{"content":"%s"}}],"other":{"a":1,"usage":null}}',
        '{"model":"m","choices":[{"delta":{"content":"%s"}}],"usage":null,"other":{"a":1,"usage":null}}',
        '{"model":"m","choices":[{"delta":{"content":null,"reasoning_content":"%s"}}],"usage":null}',
        '{"model":"m","choices":[{"index":0,"text":"%s","logprobs":null}],"usage":null}',
        '{"note":{"content":"%s"},"choices":[{"delta":{"content":"a"}}],"usage":null}',
    ]
)


@st.composite
def alike(draw: st.DrawFn) -> str:
    """Events that differ in their text and padding only."""
    form = draw(LIKE)
    first = form.replace("%s", draw(st.sampled_from(["a", "word", "é", "\\n", 'say \\"content'])))
    rest = [form.replace("%s", draw(RAW), 1).replace("%s", draw(RAW)) for _ in range(draw(st.integers(0, 4)))]
    return "".join(f"data: {payload}\n\n" for payload in (first, *rest))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(alike(), alike(), WRITTEN), max_size=4), st.booleans(),
       st.lists(st.integers(0, 3000), max_size=4), st.booleans())  # fmt: skip
def test_events_that_are_alike_in_any_pieces(
    written: list[str], done: bool, cuts: list[int], usage_added: bool
) -> None:
    body = "".join(written).encode() + (DONE if done else b"")
    chunks = cut(body, cuts)
    assert read(ChatReader, chunks, usage_added=usage_added) == read(OneByOne, chunks, usage_added=usage_added)


PADDED = '{"choices":[{"delta":{"content":"word"}}],"obfuscation":"x"}'
NOTED = '{"note":{"content":"%s"},"choices":[{"delta":{"content":"a"}}]}'


@pytest.mark.parametrize(
    ("events", "characters"),
    [
        ([PADDED] * 4, 16),
        ([PADDED, '{"choices":[{"delta":{"content":"word","x"}'], 4),
        ([PADDED, '{"choices":[{"delta":{"content":"word"}'], 4),
        ([PADDED, PADDED[:-1] + '"}'], 4),
        ([NOTED % "a", NOTED % "word"], 2),
    ],
)
def test_an_event_is_the_usual_one_only_where_no_byte_but_its_text_differs(events: list[str], characters: int) -> None:
    written = [f"data: {payload}\n\n".encode() for payload in events]
    for chunks in (written, [b"".join(written)]):
        assert read(ChatReader, chunks, usage_added=True) == read(OneByOne, chunks, usage_added=True)
        assert read(ChatReader, chunks, usage_added=True)[0]["output_characters"] == characters


@settings(max_examples=400, deadline=None)
@given(st.lists(WRITTEN, max_size=8), st.booleans(), st.lists(st.integers(0, 5000), max_size=4), st.booleans())
def test_any_stream_in_any_pieces(written: list[str], done: bool, cuts: list[int], usage_added: bool) -> None:
    body = "".join(written).encode() + (DONE if done else b"")
    chunks = cut(body, cuts)
    assert read(ChatReader, chunks, usage_added=usage_added) == read(OneByOne, chunks, usage_added=usage_added)


@pytest.mark.parametrize("usage_added", [True, False])
def test_a_usual_stream_is_read_at_once(usage_added: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"".join(event({**chat_chunk("word"), "usage": None}) for _ in range(60)) + event(usage_chunk(9, 60)) + DONE
    alone: list[bytes] = []
    one_by_one = ChatReader.read_event

    def noted(reader: ChatReader, data: bytes, name: bytes) -> None:
        alone.append(data)
        one_by_one(reader, data, name)

    monkeypatch.setattr(ChatReader, "read_event", noted)
    reply, client, terminal = read(ChatReader, [body], usage_added=usage_added)
    assert (len(alone), terminal, reply["usage"]["completion_tokens"]) == (2, True, 60)
    assert (reply["output_characters"], reply["response_model"]) == (240, "made-up-1")
    assert client.count(b'"usage"') == (0 if usage_added else 61)
