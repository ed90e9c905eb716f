"""A repeated key is never missed, however the object is written, and however long it is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RequestRejected
from app.upstream.formats import read_request
from app.upstream.formats.repeats import could_repeat

WATCHED = ("model", "stream", "stream_options")

keys = st.sampled_from([*WATCHED, "messages", "a\\u00e9", "x"])
spelled = st.tuples(keys, st.booleans()).map(
    lambda pair: (pair[0], f"\\u{ord(pair[0][0]):04x}{pair[0][1:]}" if pair[1] else pair[0])
)
values = st.sampled_from(
    [
        '"model"',
        '{"model":"b","stream":1}',
        '["model","stream_options"]',
        '"say \\"model\\":1, \\u006d"',
        "1",
        '""',
        "[ ]",
    ]
)
spaces = st.sampled_from(["", " ", "\n  "])


@given(st.lists(st.tuples(spelled, values), max_size=6), spaces, st.booleans())
@settings(max_examples=1000, deadline=None)
def test_no_repeated_key_is_missed(members: list[tuple[tuple[str, str], str]], space: str, long: bool) -> None:
    written = [f'{space}"{spelling}"{space}:{space}{value}' for (_, spelling), value in members]
    if long:
        written.insert(len(written) // 2, '"padding":' + json.dumps("model " * 2000))
    body = ("{" + ",".join(written) + space + "}").encode()
    names = [key for (key, _), _ in members]
    if any(names.count(key) > 1 for key in WATCHED):
        assert could_repeat(body)


@pytest.mark.parametrize("indent", [None, 2])
def test_long_bodies_are_cleared_without_reading_them_again(indent: int | None) -> None:
    tools = [{"name": "model", "stream": {"model": "stream"}}] * 300
    body = {"model": "a", "messages": [{"content": 'é "model": \\'}], "tools": tools, "stream": True}
    assert not could_repeat(json.dumps(body, indent=indent).encode())
    assert not could_repeat(json.dumps(body, indent=indent, ensure_ascii=False).encode())


def test_a_repeated_key_in_a_long_body_is_refused() -> None:
    padding = b'"x":"' + b"y" * 20_000 + b'"'
    for body in (b'{"model":"a",' + padding + b',"model":"b"}', b'{"model":"a",' + padding + b',"mod\\u0065l":"b"}'):
        with pytest.raises(RequestRejected, match="twice"):
            read_request("openai-chat", "chat.completions", body)
    assert read_request("openai-chat", "chat.completions", b'{"x":1,"model":"a",' + padding + b',"x":2}').model == "a"
