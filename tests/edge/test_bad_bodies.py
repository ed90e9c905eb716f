"""Bodies and names nobody should send: never a 500, one row each, and the process lives."""

import base64
import functools
import json
from typing import Any

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Provider
from tests.running import Lectr
from tests.shared_data import shared_data


@functools.cache
def json_files() -> list[tuple[str, str, bytes]]:
    """Name, what a parser should do (accept, reject, either) and the bytes."""
    lines = [json.loads(line) for line in shared_data("bad-inputs/json_test_suite.jsonl").read_text().splitlines()]
    return [(str(each["name"]), str(each["expect"]), base64.b64decode(each["base64"])) for each in lines]


def naughty() -> list[str]:
    strings: list[str] = json.loads(shared_data("bad-inputs/naughty_strings.json").read_text("utf-8"))
    return strings


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"])
def test_no_file_of_the_json_test_suite_breaks_anything(lectr: Lectr, target: str) -> None:
    files = json_files()
    assert len(files) == 318
    feature = f"suite{target.replace('/', '-')}"
    for name, _, content in files:
        answer = lectr.call(target, content, {"x-lectr-feature": feature})
        assert answer.status in (200, 400), name
        if answer.status == 400:
            assert answer.json["error"]["code"] == "invalid_request", name
    rows = lectr.rows(318, feature=feature)
    assert {row["outcome"] for row in rows} <= {"ok", "rejected"}
    assert lectr.health()["unexpected_errors"] == 0


def test_a_file_amid_a_request_goes_on_or_is_refused_as_it_deserves(lectr: Lectr, provider: Provider) -> None:
    passed = 0
    for name, expect, content in json_files():
        body = b'{"model":"gpt-4o-mini","messages":[],"x":' + content + b"}"
        mark = f"amid-{name}"
        answer = lectr.call(body=body, headers={"x-mark": mark.encode("ascii", "replace").decode()})
        if answer.status == 200:
            passed += 1
            assert expect != "reject" or _reads(body), name
        else:
            assert (answer.status, answer.code) == (400, "invalid_request"), name
            assert expect != "accept" or not _reads(body), name
    assert passed >= 95


def _reads(body: bytes) -> bool:
    """True if the whole, with the file inside, is JSON after all (an empty rest, a closing bracket more)."""
    try:
        return isinstance(json.loads(body.decode("utf-8"), parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(name: str) -> Any:
    raise ValueError(name)


def test_naughty_strings_as_model_names_are_kept_as_they_are(lectr: Lectr, provider: Provider) -> None:
    strings = naughty()
    assert len(strings) == 515
    for number, text in enumerate(strings):
        before = len(provider.seen)
        answer = lectr.call(body=asking(text), headers={"x-lectr-feature": "naughty-models"})
        if not text.strip() or len(text) > 200:
            assert (answer.status, answer.code) == (400, "invalid_request")
            continue
        assert answer.status == 200, number
        assert json.loads(provider.seen[before].body)["model"] == text
    rows = lectr.rows(515, feature="naughty-models")
    models = {row["request_model"] for row in rows}
    assert {
        text for text in strings if text.isascii() and text.isprintable() and text.strip() and len(text) <= 200
    } <= models


def test_naughty_strings_as_labels_refuse_nothing(lectr: Lectr) -> None:
    ids = []
    for text in naughty():
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            continue
        value = text.encode("utf-8", "replace").decode("utf-8")
        headers = {"x-lectr-feature": value, "x-lectr-task": value, "x-lectr-provider": value}
        answer = lectr.call(body=asking(), headers=headers)
        assert answer.status == 200, text
        ids.append(answer.id)
    for id in ids:
        row = lectr.row(id)
        assert row["provider"] == "openai"
        assert len(row["feature"] or "") <= 100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"model":null}',
        b'{"model":5}',
        b'{"model":""}',
        b'{"model":"  "}',
        b'{"model":["gpt-4o"]}',
        b'{"model":"gpt-4o","model":"gpt-4o-mini"}',
        b'{"model":"gpt-4o","mod\\u0065l":"gpt-4o-mini"}',
        b'{"model":"gpt-4o","stream":true,"stream":false}',
        b'{"model":"gpt-4o","stream_options":{},"stream_options":{}}',
        b'{"model":"gpt-4o","stream":"yes"}',
        b'{"model":"gpt-4o","stream":1}',
        b'{"model":"gpt-4o\xff"}',
        b'\xef\xbb\xbf{"model":"gpt-4o"}',
        '{"model":"gpt-4o"}'.encode("utf-16"),
        b'{"model":"gpt-4o","x":' + b"[" * 128 + b"]" * 128 + b"}",
        b'{"model":"gpt-4o","x":' + b"[" * 100_000,
        b'{"a":' * 60_000,
        b'{"model":"' + b"x" * 201 + b'"}',
        b'{"model":"gpt-4o"} trailing',
        b'{"model":"gpt-4o","x":NaN}',
    ],
    ids=range(25),
)
def test_what_a_provider_could_read_differently_is_refused(lectr: Lectr, provider: Provider, body: bytes) -> None:
    before = len(provider.seen)
    answer = lectr.call(body=body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert len(provider.seen) == before
    row = lectr.row(answer.id)
    assert (row["outcome"], row["cost_picousd"], row["endpoint"]) == ("rejected", 0, "chat.completions")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-4o","x":' + b"[" * 127 + b"]" * 127 + b"}",
        b'{"model":"gpt-4o","x":"' + b"[" * 1000 + b'"}',
        b' \t\r\n{"model":"gpt-4o"}\n',
        b'{"model":"gpt-4o","x":{"model":"a"},"y":[{"model":"b","stream":1}]}',
        b'{"model":"gpt-4o","n":1e400,"m":-0,"k":123456789012345678901234567890}',
        b'{"model":"gpt-4o","content":"\\ud800 alone"}',
        b'{"Model":"a","model":"gpt-4o","MODEL":"b"}',
    ],
    ids=range(7),
)
def test_what_all_read_alike_goes_on_byte_for_byte(lectr: Lectr, provider: Provider, body: bytes) -> None:
    before = len(provider.seen)
    answer = lectr.call(body=body)
    assert answer.status == 200
    assert provider.seen[before].body == body
    assert lectr.row(answer.id)["request_model"] == "gpt-4o"
