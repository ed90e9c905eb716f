"""Product.md section 2: what goes upstream, what comes back, and the labels of a request."""

import json
import re

import pytest

from tests import canaries
from tests.edge.asking import SHAPES, asking
from tests.edge.provider import CHAT, Call, Provider
from tests.edge.test_auth import mark
from tests.running import UUID7, Lectr, Raw

HOP_BY_HOP = ("keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade")
DENIED = {
    **dict.fromkeys(HOP_BY_HOP, "1"),
    "cookie": "session=canary",
    "cookie2": "x",
    "forwarded": "for=10.0.0.1",
    "x-forwarded-for": "10.0.0.1",
    "x-forwarded-host": "evil",
    "x-forwarded-proto": "https",
    "x-forwarded-anything": "1",
    "x-lectr-feature": "f",
    "x-lectr-task": "generation",
    "x-lectr-anything": "1",
    "x-goog-api-key": "AIzaSecond",
    "accept-encoding": "gzip, br, zstd",
    "expect": "",
    "connection": "x-named, X-Other ,close",
    "x-named": "1",
    "x-other": "1",
}
PASSED = {
    "openai-organization": "org-1",
    "openai-project": "proj-1",
    "openai-beta": "assistants=v2",
    "anthropic-beta": "tomorrow-2027-01-01",
    "user-agent": "OpenAI/Python 9.9",
    "x-stainless-retry-count": "0",
    "x-request-id": "mine",
    "idempotency-key": "abc",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-tomorrow": "é",
    "accept": "application/json",
}


def test_all_but_the_denied_goes_upstream(lectr: Lectr, provider: Provider) -> None:
    marked = mark("deny")
    answer = lectr.call(body=asking(), headers=DENIED | PASSED | marked)
    assert answer.status == 200
    seen = provider.asked("x-mark", marked["x-mark"])
    expected = PASSED | marked | {"content-type": "application/json", "accept-encoding": "identity"}
    expected |= {"authorization": f"Bearer {canaries.CALLER}", "content-length": str(len(seen.body))}
    expected |= {"host": f"127.0.0.1:{provider.port}", "x-tomorrow": "é".encode().decode("latin-1")}
    assert sorted(seen.headers) == sorted(expected.items())


def test_a_field_may_come_twice(lectr: Lectr, provider: Provider) -> None:
    marked = mark("twice")
    with Raw(lectr.port) as raw:
        request = lectr.raw("/v1/chat/completions", asking(), marked)
        request = request.replace(b"content-type", b"x-beta: 1\r\nX-Beta: 2\r\ncontent-type")
        assert b"HTTP/1.1 200" in raw.send(request).read_until(b"}}")
    seen = provider.asked("x-mark", marked["x-mark"])
    assert [value for name, value in seen.headers if name == "x-beta"] == ["1", "2"]


@pytest.mark.parametrize("value", [b"a\rb", b"a\nx-added: 1", b"a\0b", b"a\x0bb", b"a\x7fb"])
def test_control_bytes_in_a_field_add_no_header(lectr: Lectr, provider: Provider, value: bytes) -> None:
    marked = mark("control", value.hex())
    with Raw(lectr.port) as raw:
        request = lectr.raw("/v1/chat/completions", asking(), marked | {"x-value": "here"})
        said = raw.send(request.replace(b"here", value)).read_until(b"}")
    assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200"))
    for seen in provider.seen:
        if seen.header("x-mark") == marked["x-mark"] and b"\n" not in value:
            assert "x-added" not in seen.names()
            assert not any(set(text) & {"\r", "\n", "\0"} for _, text in seen.headers)


def test_what_every_answer_gains(lectr: Lectr) -> None:
    answer = lectr.call(body=asking())
    assert UUID7.match(answer.id)
    assert answer.header("x-lectr-provider") == "openai"
    assert answer.header("x-lectr-cost-usd") == "0.00000435"
    row = lectr.row(answer.id)
    assert (row["id"], row["cost_usd"]) == (answer.id, "0.00000435")
    assert answer.header("x-accel-buffering") is None


def test_a_callers_own_ids_are_not_taken(lectr: Lectr) -> None:
    headers = {"x-request-id": "same", "x-lectr-request-id": "0197f125-ae60-7000-8ce9-9715cd197436"}
    ids = {lectr.call(body=asking(), headers=headers).id for _ in range(20)}
    assert len(ids) == 20
    assert headers["x-lectr-request-id"] not in ids


def test_what_the_provider_may_not_say(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.json(
            CHAT,
            200,
            ("set-cookie", "a=b; path=/"),
            ("Set-Cookie", "c=d"),
            ("set-cookie2", "e"),
            ("connection", "x-private, keep-alive"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("x-lectr-cost-usd", "9"),
            ("X-Lectr-Request-Id", "forged"),
            ("x-request-id", "req_1"),
            ("x-ratelimit-remaining-requests", "99"),
            ("vary", "a"),
            ("Vary", "b"),
        )

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    names = [name for name, _ in answer.headers]
    assert not {"set-cookie", "set-cookie2", "x-private", "keep-alive"} & set(names)
    assert names.count("x-lectr-cost-usd") == names.count("x-lectr-request-id") == 1
    assert answer.header("x-lectr-cost-usd") == "0.00000435"
    assert UUID7.match(answer.id)
    assert answer.header("x-ratelimit-remaining-requests") == "99"
    assert [value for name, value in answer.headers if name == "vary"] == ["a", "b"]
    assert lectr.row(answer.id)["provider_request_id"] == "req_1"


def test_a_cookie_of_one_request_is_not_replayed_on_the_next(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.json(CHAT, 200, ("set-cookie", "session=of-the-first"))

    lectr.call(body=asking(), headers=provider.plays_as(play))
    marked = mark("cookie")
    lectr.call(body=asking(), headers=marked)
    assert "cookie" not in provider.asked("x-mark", marked["x-mark"]).names()


@pytest.mark.parametrize(
    ("fields", "chunked", "model", "shown"),
    [
        ([("content-type", "application/json")], False, "gpt-4o-mini", True),
        ([("content-type", "Application/JSON; charset=utf-8")], False, "gpt-4o-mini", True),
        ([("content-type", "application/json")], True, "gpt-4o-mini", False),
        ([("content-type", "text/plain")], False, "gpt-4o-mini", False),
        ([("content-type", "application/json")], False, "gpt-unheard-of", False),
    ],
)
def test_where_the_cost_stands_in_a_header(
    lectr: Lectr, provider: Provider, fields: list[tuple[str, str]], chunked: bool, model: str, shown: bool
) -> None:
    body = json.dumps({**CHAT, "model": model}).encode()

    async def play(call: Call) -> None:
        if not chunked:
            await call.whole(200, body, *fields)
            return
        await call.head(200, *fields, ("transfer-encoding", "chunked"))
        await call.chunk(body)
        await call.end()

    answer = lectr.call(body=asking(model), headers=provider.plays_as(play))
    assert answer.body == body
    assert (answer.header("x-lectr-cost-usd") is not None) == shown
    assert lectr.row(answer.id)["cost_usd"] == ("0.00000435" if model == "gpt-4o-mini" else None)


@pytest.mark.parametrize("over", [0, 1])
def test_only_answers_up_to_a_mebibyte_are_held_for_their_cost(lectr: Lectr, provider: Provider, over: int) -> None:
    padding = 1024 * 1024 + over - len(json.dumps({**CHAT, "pad": ""}))
    body = json.dumps({**CHAT, "pad": "x" * padding}).encode()

    async def play(call: Call) -> None:
        await call.whole(200, body, ("content-type", "application/json"))

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (len(answer.body), answer.body == body) == (1024 * 1024 + over, True)
    assert (answer.header("x-lectr-cost-usd") is None) == bool(over)
    assert lectr.row(answer.id)["cost_usd"] == "0.00000435"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 529])
def test_a_providers_error_costs_nothing_and_passes_whole(lectr: Lectr, provider: Provider, status: int) -> None:
    body = (
        b'{"error":{"message":"no","type":"x","code":"model_gone"}, "usage":{"prompt_tokens":9,"completion_tokens":5}}'
    )

    async def play(call: Call) -> None:
        fields = (("content-type", "application/json"), ("retry-after", "17"), ("retry-after-ms", "17000"))
        await call.whole(status, body, *fields, ("x-should-retry", "true"), ("request-id", "req_9"))

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (answer.status, answer.body) == (status, body)
    assert [answer.header(name) for name in ("retry-after", "retry-after-ms", "x-should-retry")] == [
        "17",
        "17000",
        "true",
    ]
    assert answer.header("x-lectr-cost-usd") is None
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["cost_picousd"], row["cost_reason"]) == (
        status,
        "provider_error",
        0,
        None,
    )
    assert (row["error_code"], row["error_source"], row["provider_request_id"]) == ("model_gone", "provider", "req_9")


def test_a_provider_is_asked_once_whatever_it_answers(lectr: Lectr, provider: Provider) -> None:
    for status in (301, 307, 401, 429, 503):

        async def play(call: Call, status: int = status) -> None:
            await call.whole(status, b"", ("location", f"{provider.address}/elsewhere"), ("retry-after", "0"))

        headers = provider.plays_as(play)
        before = len(provider.seen)
        assert lectr.call(body=asking(), headers=headers).status == status
        assert len(provider.seen) == before + 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("chat-widget", "chat-widget"),
        ("  padded\t", "padded"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 100),
        ("ü" * 150, "ü" * 100),
        ("日本語" * 40, ("日本語" * 40)[:100]),
        ("", None),
        ("   ", None),
        ("a" * 5000, "a" * 100),
    ],
)
def test_a_feature_is_cut_never_refused(lectr: Lectr, sent: str, kept: str | None) -> None:
    answer = lectr.call(body=asking(), headers={"x-lectr-feature": sent})
    assert answer.status == 200
    assert lectr.row(answer.id)["feature"] == kept


def test_a_feature_that_is_no_utf8_refuses_nothing(lectr: Lectr) -> None:
    with Raw(lectr.port) as raw:
        request = lectr.raw("/v1/chat/completions", asking(), {"x-lectr-feature": "here"}).replace(b"here", b"\xff\xfe")
        assert b"HTTP/1.1 200" in raw.send(request).read_until(b"}}")


def test_without_a_feature_the_keys_own_counts(lectr: Lectr) -> None:
    assert lectr.row(lectr.call(body=asking(), key="with-feature").id)["feature"] == "of-the-key"
    sent = lectr.call(body=asking(), key="with-feature", headers={"x-lectr-feature": "sent"})
    assert lectr.row(sent.id)["feature"] == "sent"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("classification", "classification"),
        ("Summarization", "summarisation"),
        ("summarisation", "summarisation"),
        ("EXTRACTION", "extraction"),
        ("generation", "generation"),
        ("reasoning", "reasoning"),
        ("Poetry", "Poetry"),
        ("t" * 120, "t" * 100),
        ("", None),
    ],
)
def test_a_task_is_stored_as_given(lectr: Lectr, sent: str, kept: str | None) -> None:
    answer = lectr.call(body=asking(), headers={"x-lectr-task": sent})
    assert (answer.status, lectr.row(answer.id)["task"]) == (200, kept)


@pytest.mark.parametrize("sent", ["groq", "Groq", "GROQ", " groq "])
def test_a_provider_is_named_in_any_case(lectr: Lectr, sent: str) -> None:
    row = lectr.row(lectr.call(body=asking(), headers={"x-lectr-provider": sent}, provider_key=SHAPES["none"]).id)
    assert (row["provider"], row["detected_by"], row["flags"]) == ("groq", "header", [])


@pytest.mark.parametrize("sent", ["nonsense", "open ai", "google", "openai,groq", "x" * 3000, "'; DROP TABLE requests"])
def test_a_wrong_override_never_blocks_traffic(lectr: Lectr, sent: str) -> None:
    answer = lectr.call(body=asking("llama-3.3-70b-versatile"), headers={"x-lectr-provider": sent})
    row = lectr.row(answer.id)
    assert (answer.status, row["provider"], row["detected_by"]) == (200, "groq", "exact")
    assert row["flags"] == ["override_ignored"]


def test_the_ids_of_a_row_order_by_time(lectr: Lectr) -> None:
    ids = [lectr.call(body=asking()).id for _ in range(5)]
    assert ids == sorted(ids)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lectr.row(ids[0])["started_at"])
