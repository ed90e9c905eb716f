"""A request's head is read once; what a provider could read differently than Lectr is refused."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RequestRejected
from app.upstream.formats import RequestFacts, read_request
from app.upstream.formats.request import MAX_DEPTH, MODEL_NEEDED
from tests.shared_data import shared_data

CHAT = ("openai-chat", "chat.completions")


def rejected(body: bytes, endpoint: str = "chat.completions", **more: str) -> str:
    with pytest.raises(RequestRejected) as caught:
        read_request("openai-chat", endpoint, body, **more)
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    return caught.value.message


def test_model_stream_and_the_wish_for_usage_are_read() -> None:
    body = b'{"model":"a/b:c","stream":true,"stream_options":{"include_usage":true},"x":[{}]}'
    assert read_request(*CHAT, body) == RequestFacts("a/b:c", True, True)
    assert read_request(*CHAT, b' {"model":"a","stream":null,"stream_options":null}\n') == RequestFacts("a")
    assert not read_request(*CHAT, b'{"model":"a","stream_options":{"include_usage":"true"}}').asks_usage


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"model":null}',
        b'{"model":""}',
        b'{"model":"  "}',
        b'{"model":7}',
        b'{"model":["a"]}',
        b'{"model":"' + b"a" * 257 + b'"}',
        b'{"model":"a","stream":"true"}',
        b'{"model":"a","stream":1}',
        b'\xef\xbb\xbf{"model":"a"}',
        '{"model":"a"}'.encode("utf-16-le"),
        b'{"model":"a","x":NaN}',
        b'{"model":"a","x":Infinity}',
        b'{"model":"a","x":"\xff"}',
        b'{"model":"a","x":"\xed\xa0\x80"}',
        b'{"model":"a\xc3"}',
        b'{"model":"a"} {}',
        b'{"model":"a",}',
        b"model=a&stream=true",
    ],
)
def test_what_cannot_be_served_is_refused_with_a_sentence(body: bytes) -> None:
    assert rejected(body).endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"\\u006d\\u006F\\u0064el":"a","model":"b"}',
        b'{"model":"a","stream":true,"stream":false}',
        b'{"model":"a","stream_options":{},"stream_options":{}}',
        b'{"model":"a","stream_options":{},"stream\\u005foptions":{}}',
        b'{"x":{"model":1},"model":"a","y":["model"],"model":"b"}',
        b'{"x":"\\ud800","model":"a","model":"b"}',
        b'{"model":"a","tools":[{"model":1}],"tools":[{"model":1}],"model":"b"}',
    ],
)
def test_a_key_given_twice_is_refused(body: bytes) -> None:
    assert "twice" in rejected(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","tools":[{"model":1,"stream":2},{"model":"stream"}],"messages":["model","stream_options"]}',
        b'{"model":"model","stream":true,"stream_options":{"model":1,"stream":1}}',
        b'{"model":"a","messages":"say \\u006d\\u0065 \\"model\\": \\"model\\""}',
        b'{"model":"a","x":1,"x":2,"metadata":{"model":1},"metadata":{"model":2}}',
        b'{"model":"a","stream":true,"stream_options":null}',
    ],
)
def test_the_same_words_deeper_inside_are_free(body: bytes) -> None:
    assert read_request(*CHAT, body).model in ("a", "model")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_the_depth_limit_is_exact(opening: bytes) -> None:
    def nested(levels: int, before: bytes = b"") -> bytes:
        inner = opening * levels
        openers = [byte for byte in inner if byte in b"[{"][: levels - 1]
        text, closing = b"", b""
        for byte in openers:
            text += b"[" if byte == ord("[") else b'{"a":'
            closing = (b"]" if byte == ord("[") else b"}") + closing
        return b'{"model":"a",' + before + b'"x":' + text + b"1" + closing + b"}"

    for before in (b"", b'"y":"' + b"[{" * 200 + b'\\"]]",', b'"z":[' + b",".join([b"[]"] * 12_000) + b"],"):
        assert read_request(*CHAT, nested(MAX_DEPTH, before)).model == "a"
        assert str(MAX_DEPTH) in rejected(nested(MAX_DEPTH + 1, before))
    rejected(nested(100_000))


def test_a_deployment_in_the_path_stands_in_for_the_model() -> None:
    assert read_request(*CHAT, b"{}", deployment="ours") == RequestFacts("ours")
    assert read_request(*CHAT, b'{"model":"a"}', deployment="ours") == RequestFacts("a")


def test_lone_surrogates_that_javascript_sends_are_taken() -> None:
    assert read_request(*CHAT, b'{"model":"a","stream":true,"messages":"\\ud83d"}') == RequestFacts("a", True)


def test_where_a_model_is_optional_the_rest_still_holds() -> None:
    for endpoint in ("responses", "moderations", "images.generations"):
        assert read_request(None, endpoint, b"{}") == RequestFacts()
        rejected(b"", endpoint)
        rejected(b'{"model":7}', endpoint)
    for endpoint in MODEL_NEEDED:
        assert "model" in rejected(b"{}", endpoint)


@pytest.mark.parametrize("body", [b"", b"anything", b"[1]", b'{"model":7}', b"\xff", b"[" * 5000])
def test_an_endpoint_lectr_does_not_know_takes_any_body(body: bytes) -> None:
    assert read_request(None, "other", body) == RequestFacts()
    assert read_request(None, "other", b'{"model":"a","stream":true}') == RequestFacts("a", True)


@given(st.binary(max_size=80), st.sampled_from(["chat.completions", "responses", "other", "audio.transcriptions"]))
@settings(max_examples=500, deadline=None)
def test_no_body_raises_anything_else(body: bytes, endpoint: str) -> None:
    for kind in ("application/json", "multipart/form-data; boundary=x", "multipart/form-data", ""):
        for whole in (body, b'{"model":"a","x":' + body + b"}", b"--x\r\n" + body + b"\r\n--x--"):
            with contextlib.suppress(RequestRejected):
                read_request(None, endpoint, whole, content_type=kind)


def suite() -> list[dict[str, str]]:
    return [json.loads(line) for line in shared_data("bad-inputs/json_test_suite.jsonl").read_text().splitlines()]


def taken(body: bytes, endpoint: str) -> bool:
    try:
        read_request("openai-responses", endpoint, body)
    except RequestRejected:
        return False
    return True


def test_the_json_test_suite_is_refused_or_taken_as_it_says() -> None:
    cases = suite()
    assert len(cases) == 318
    for case in cases:
        body = base64.b64decode(case["base64"])
        # As the whole body: an object that names no model is only good where none is needed.
        assert not taken(body, "chat.completions")
        if taken(body, "responses"):
            assert case["expect"] != "reject", case["name"]
        elif case["expect"] == "accept":
            assert not isinstance(json.loads(body), dict), case["name"]
        # As a part of a body: what must be refused is refused, what must be taken is taken.
        inside = b'{"model":"a","x":' + body + b"}"
        if case["expect"] != "either":
            assert taken(inside, "chat.completions") == (case["expect"] == "accept"), case["name"]
        else:
            taken(inside, "chat.completions")


BOUNDARY = "----made-up"


def form(*parts: tuple[str, Any], boundary: str = BOUNDARY) -> bytes:
    text = b""
    for disposition, value in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        text += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return text + f"--{boundary}--\r\n".encode()


FORM = f'multipart/form-data; boundary="{BOUNDARY}"'


def test_an_audio_form_names_its_model_in_a_field() -> None:
    file = ('name="file"; filename="a.wav"', b'RIFF\r\n\r\nname="model"\r\n--not\x00\xff')
    body = form(file, ('name="model"', "whisper-made-up"), ('name="stream"', "true"))
    facts = read_request("openai-audio", "audio.transcriptions", body, content_type=FORM)
    assert facts == RequestFacts("whisper-made-up", True)
    bare = read_request(
        "openai-audio", "audio.transcriptions", form(("name=model", "m")), content_type=FORM.replace('"', "")
    )
    assert bare == RequestFacts("m")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form(('name="file"; filename="model"', "x")), FORM),
        (form(('name="model"; filename="m"', "x")), FORM),
        (form(('name="model"', "a"), ('name="model"', "b")), FORM),
        (form(('name="model"', " ")), FORM),
        (form(('name="model"', "a" * 5000)), FORM),
        (form(('name="model"', "a")), "multipart/form-data"),
        (form(('name="model"', "a")), "multipart/form-data; boundary=other"),
        (b"", FORM),
        (b'{"model":"a"}', FORM),
    ],
)
def test_a_form_without_one_readable_model_is_refused(body: bytes, kind: str) -> None:
    rejected(body, "audio.transcriptions", content_type=kind)
