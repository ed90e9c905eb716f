"""`"usage":null` is taken out with its one adjoining comma, and no other byte."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.formats.usage_chunk import drop_null_usage, without_null_usage
from app.upstream.sse import SseSplitter


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a":1,"usage":null}', '{"a":1}'),
        ('{"a":1,"usage":null,"b":2}', '{"a":1,"b":2}'),
        ('{"usage":null,"b":2}', '{"b":2}'),
        ('{"usage":null}', "{}"),
        ('{"a": 1, "usage": null, "b": 2}', '{"a": 1, "b": 2}'),
        ('{ "usage" : null , "b" : 2 }', '{  "b" : 2 }'),
        ('{"a":1 , "usage" :\tnull }', '{"a":1  }'),
        ('{"a":{"usage":null},"usage":null}', '{"a":{"usage":null}}'),
        ('{"usage":null,"a":{"usage":null}}', '{"a":{"usage":null}}'),
        ('{"a":"usage","usage":null}', '{"a":"usage"}'),
        ('{"a":"\\"usage\\":null","usage":null}', '{"a":"\\"usage\\":null"}'),
        ('{"a":["usage",{"usage":null}],"usage":null,"c":"}"}', '{"a":["usage",{"usage":null}],"c":"}"}'),
        ('{"a":1,"us\\u0061ge":null}', '{"a":1}'),
        ('{"a":{"usage":null},"us\\u0061ge":null}', '{"a":{"usage":null}}'),
    ],
)
def test_only_the_top_level_key_goes(text: str, left: str) -> None:
    assert drop_null_usage(text.encode()).decode() == left


def test_a_payload_over_several_lines_loses_the_key_as_well() -> None:
    (event,) = SseSplitter(keep_raw=True).feed(b': c\ndata: {"a":1,\ndata: "usage":null}\n\n')
    edited = without_null_usage(event)
    (again,) = SseSplitter(keep_raw=True).feed(edited)
    assert again.data is not None
    assert json.loads(again.data) == {"a": 1}
    assert edited.startswith(b": c\n")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["usage", '"usage":null', ',"usage":null}']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("usage"), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.lists(
        st.tuples(st.text(max_size=6).filter(lambda key: key != "usage"), values),
        max_size=5,
        unique_by=lambda pair: pair[0],
    ),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
)
@settings(max_examples=500, deadline=None)
def test_what_is_left_is_the_object_as_it_is_written_without_the_key(
    members: list[tuple[str, Any]], at: int, ascii_only: bool, separators: tuple[str, str]
) -> None:
    def written(pairs: list[tuple[str, Any]]) -> str:
        return json.dumps(dict(pairs), separators=separators, ensure_ascii=ascii_only)

    with_usage = [*members[:at], ("usage", None), *members[at:]]
    left = drop_null_usage(written(with_usage).encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    assert json.loads(left) == dict(members)
    if at > 0 or not members:
        # Behind its comma nothing is touched, so this is what the provider would have written itself.
        assert left.replace(" ", "") == written(members).replace(" ", "")
