"""Asking for usage changes `stream_options.include_usage` and no other byte."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.formats import add_stream_usage, read_request


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ('{"stream":true}', '{"stream_options":{"include_usage":true},"stream":true}'),
        ('\n{ "a" : 1 }', '\n{"stream_options":{"include_usage":true}, "a" : 1 }'),
        ("{ }", '{"stream_options":{"include_usage":true} }'),
        ('{"stream_options" : null , "a":1}', '{"stream_options" : {"include_usage":true} , "a":1}'),
        ('{"a":1,"stream_options":{}}', '{"a":1,"stream_options":{"include_usage":true}}'),
        ('{"stream_options":{ "include_usage" : false }}', '{"stream_options":{ "include_usage" : true }}'),
        ('{"stream_options":{"include_usage":null,"b":[1]}}', '{"stream_options":{"include_usage":true,"b":[1]}}'),
        (
            '{"stream_options":{"include_obfuscation":true}}',
            '{"stream_options":{"include_usage":true,"include_obfuscation":true}}',
        ),
        (
            '{"x":"\\"stream_options\\":null","y":{"stream_options":null},"stream_options":null}',
            '{"x":"\\"stream_options\\":null","y":{"stream_options":null},"stream_options":{"include_usage":true}}',
        ),
        ('{"stream\\u005foptions":{}}', '{"stream\\u005foptions":{"include_usage":true}}'),
        (
            '{"stream_options":{"include_usage":false},"z":{"include_usage":false}}',
            '{"stream_options":{"include_usage":true},"z":{"include_usage":false}}',
        ),
    ],
)
def test_one_place_is_written_and_the_rest_kept(body: str, asked: str) -> None:
    assert add_stream_usage(body.encode()).decode() == asked


@pytest.mark.parametrize(
    "body", [b'{"stream_options":{"include_usage":true}}', b'{"stream_options":7}', b"[]", b"", b"{"]
)
def test_where_nothing_can_be_added_the_same_object_comes_back(body: bytes) -> None:
    assert add_stream_usage(body) is body


leaves: Any = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
members = st.dictionaries(
    st.text(max_size=5) | st.sampled_from(["stream", "include_usage", "model"]), leaves, max_size=4
)
options: Any = st.none() | st.dictionaries(
    st.sampled_from(["include_usage", "include_obfuscation", "x"]), leaves, max_size=3
)


@given(members, st.none() | st.just(0) | options, st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_request_means_the_same_and_asks_for_usage(
    body: dict[str, Any], stream_options: Any, indent: int | None, first: bool
) -> None:
    body.pop("stream_options", None)
    if stream_options != 0 or isinstance(stream_options, bool):
        whole = {"stream_options": stream_options, **body} if first else {**body, "stream_options": stream_options}
    else:
        whole, stream_options = body, None
    whole["model"] = "a"
    whole["stream"] = True
    asked = add_stream_usage(json.dumps(whole, indent=indent).encode())
    assert json.loads(asked) == {**whole, "stream_options": {**(stream_options or {}), "include_usage": True}}
    assert read_request("openai-chat", "chat.completions", asked).asks_usage
