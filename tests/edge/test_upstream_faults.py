"""Providers that cannot be reached, are silent, speak nonsense or break off: status, outcome, cost, no clean end."""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Iterator

import pytest

from app.upstream.transport import PooledTransport
from tests.edge.asking import SHAPES, asking
from tests.edge.conftest import StartLectr
from tests.edge.provider import CHAT, Call, Play, Provider, chat_events
from tests.running import Answer, Lectr, Raw

TIMES = {"connect_timeout_s": 0.4, "first_byte_timeout_s": 0.5, "idle_timeout_s": 0.4, "stream_timeout_s": 1.2}


async def _resolve(host: str, port: int) -> list[str]:
    if host == "gone.example":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if host == "slow.example":
        await asyncio.sleep(30)
    return ["127.0.0.1" if host == "localhost" else host]


@pytest.fixture(scope="module")
def refused_port() -> Iterator[int]:
    """A port that is ours and that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="module")
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: a further one is never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


@pytest.fixture(scope="module")
def lectr(start_lectr: StartLectr, refused_port: int, full_port: int) -> Iterator[Lectr]:
    """OpenAI is the provider; Anthropic refuses, Groq has no name, Gemini's name takes for ever, Azure is full."""
    with start_lectr(
        transport=PooledTransport(allow_private=True, resolver=_resolve),
        anthropic_base_url=f"http://127.0.0.1:{refused_port}",
        groq_base_url="http://gone.example",
        gemini_base_url="http://slow.example",
        azure_endpoint=f"http://127.0.0.1:{full_port}",
        **TIMES,
    ) as lectr:
        yield lectr


@pytest.mark.parametrize(("company", "within_s"), [("anthropic", 0.4), ("groq", 0.4), ("gemini", 0.9), ("azure", 0.9)])
@pytest.mark.parametrize("stream", [False, True])
def test_who_cannot_be_reached_costs_nothing(lectr: Lectr, company: str, within_s: float, stream: bool) -> None:
    began = time.monotonic()
    headers = {"x-lectr-provider": company}
    answer = lectr.call(body=asking(stream=stream), headers=headers, provider_key=SHAPES.get(company, "abc"))
    assert (answer.status, answer.code, answer.whole) == (503, "provider_unreachable", True)
    assert time.monotonic() - began < within_s
    assert answer.header("x-lectr-provider") == company
    assert "canary" not in answer.body.decode()
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["error_code"]) == (503, "unreachable", "provider_unreachable")
    assert (row["cost_picousd"], row["cost_reason"], row["usage_source"]) == (0, None, "none")
    assert (row["error_source"], row["provider"]) == ("provider", company)


async def silent(call: Call) -> None:
    await asyncio.sleep(30)


async def garbage(call: Call) -> None:
    await call.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    await asyncio.sleep(30)


async def half_a_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\ncontent-type: app")
    call.hang_up()


async def hang_up(call: Call) -> None:
    call.hang_up()


async def reset(call: Call) -> None:
    call.reset()


async def two_lengths(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello")


async def length_and_chunks(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")


async def endless_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        await call.send(b"x-%d: %s\r\n" % (number, b"a" * 1000))


async def only_interim(call: Call) -> None:
    for _ in range(100):
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\n")


async def another_protocol(call: Call) -> None:
    await call.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")


BEFORE_A_STATUS: dict[Play, tuple[int, str, str]] = {
    silent: (504, "provider_timeout", "upstream_timeout"),
    garbage: (502, "provider_bad_response", "bad_response"),
    half_a_head: (502, "provider_bad_response", "upstream_reset"),
    hang_up: (502, "provider_bad_response", "upstream_reset"),
    reset: (502, "provider_bad_response", "upstream_reset"),
    two_lengths: (502, "provider_bad_response", "bad_response"),
    length_and_chunks: (502, "provider_bad_response", "bad_response"),
    endless_head: (502, "provider_bad_response", "bad_response"),
    only_interim: (502, "provider_bad_response", "bad_response"),
    another_protocol: (502, "provider_bad_response", "bad_response"),
}


@pytest.mark.parametrize("play", BEFORE_A_STATUS, ids=lambda play: play.__name__)
@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_before_a_status(lectr: Lectr, provider: Provider, play: Play, stream: bool) -> None:
    status, code, outcome = BEFORE_A_STATUS[play]
    headers = provider.plays_as(play)
    answer = lectr.call(body=asking(stream=stream), headers=headers)
    assert (answer.status, answer.code, answer.whole) == (status, code, True)
    row = lectr.row(answer.id)
    assert (row["status"], row["error_code"], row["outcome"], row["error_source"]) == (
        status,
        code,
        outcome,
        "provider",
    )
    assert row["cost_picousd"] == 0
    assert provider.played(headers).over.wait(1)


def test_the_error_of_a_messages_call_has_anthropics_shape(lectr: Lectr) -> None:
    answer = lectr.call("/v1/messages", asking("claude-sonnet-4-5"), provider_key=SHAPES["anthropic"])
    assert (answer.json["type"], answer.json["error"]["type"]) == ("error", "overloaded_error")


EVENTS = chat_events("Hello there", ", world", usage=True)


def broken(kind: str, *, stream: bool, bytes_sent: int) -> Play:
    """An answer that ends amid its body: by a reset, by a plain close, or by saying no more."""
    body = b"".join(EVENTS) if stream else json.dumps(CHAT).encode()
    content = "text/event-stream" if stream else "application/json"

    async def play(call: Call) -> None:
        if kind.startswith("chunked"):
            await call.head(200, ("content-type", content), ("transfer-encoding", "chunked"))
            await call.chunk(body[:bytes_sent])
        else:
            await call.head(200, ("content-type", content), ("content-length", str(len(body))))
            await call.send(body[:bytes_sent])
        await asyncio.sleep(0.05)
        if kind.endswith("reset"):
            call.reset()
        elif kind.endswith("close"):
            call.hang_up()
        else:
            await asyncio.sleep(30)

    return play


@pytest.mark.parametrize(
    "kind", [f"{framing}-{end}" for framing in ("chunked", "length") for end in ("reset", "close", "silence")]
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bytes_sent", [1, 100, 230])
def test_a_broken_answer_never_looks_whole(
    lectr: Lectr, provider: Provider, kind: str, stream: bool, bytes_sent: int
) -> None:
    headers = provider.plays_as(broken(kind, stream=stream, bytes_sent=bytes_sent))
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=stream), headers))
        head, _, body = raw.read_all().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert not body.endswith(b"0\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    assert not lengths or int(lengths[0].split()[1]) > len(body)
    assert (b"data:" if stream else b"{")[:bytes_sent] in body or bytes_sent < 5
    row = lectr.row(head.split(b"x-lectr-request-id: ")[1][:36].decode())
    outcome = "upstream_timeout" if kind.endswith("silence") else "upstream_reset"
    assert (row["status"], row["outcome"], row["error_source"]) == (200, outcome, "provider")
    assert (row["usage_source"], row["input_tokens"]) == ("estimated", -(-row["prompt_bytes"] // 4))
    assert row["prompt_bytes"] > 0
    assert row["cost_picousd"] == row["input_tokens"] * 150_000 + row["output_tokens"] * 600_000
    assert (row["output_tokens"] == 3) == (stream and bytes_sent == 230)


def test_what_was_held_back_of_a_broken_stream_is_not_kept_from_the_client(lectr: Lectr, provider: Provider) -> None:
    sent = EVENTS[0] + b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"half'

    async def play(call: Call) -> None:
        await call.stream(sent)
        await asyncio.sleep(0.05)
        call.reset()

    answer = lectr.call(body=asking(stream=True), headers=provider.plays_as(play))
    assert not answer.whole
    assert answer.body == sent.replace(b',"usage":null', b"")


def test_an_answer_broken_after_its_last_event_was_whole(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.stream(*EVENTS)
        await asyncio.sleep(0.05)
        call.reset()

    answer = lectr.call(body=asking(stream=True), headers=provider.plays_as(play))
    row = lectr.row(answer.id)
    assert (row["outcome"], row["usage_source"], row["cost_picousd"]) == ("ok", "provider", 4350000)


def test_an_answer_that_drips_ends_at_the_streams_limit(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.stream()
        while True:
            await call.chunk(b": keep-alive\n\n")
            await asyncio.sleep(0.3)

    began, headers = time.monotonic(), provider.plays_as(play)
    answer = lectr.call(body=asking(stream=True), headers=headers)
    assert 1.0 < time.monotonic() - began < 1.4
    assert not answer.whole
    assert provider.played(headers).over.wait(0.3)
    row = lectr.row(answer.id)
    assert (row["outcome"], row["status"], row["usage_source"]) == ("upstream_timeout", 200, "estimated")


def test_a_broken_connection_serves_nobody_else(lectr: Lectr, provider: Provider) -> None:
    for kind in ("length-close", "length-reset", "chunked-close"):
        headers = provider.plays_as(broken(kind, stream=False, bytes_sent=50))
        lectr.call(body=asking(), headers=headers)
        feature = uuid.uuid4().hex
        answer = lectr.call(body=asking(), headers={"x-mark": feature})
        assert (answer.status, answer.json) == (200, CHAT)
        assert provider.asked("x-mark", feature).connection != provider.played(headers).connection


def test_surplus_bytes_reach_no_other_request(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.json(CHAT)
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsmuggle")

    for _ in range(10):
        first = lectr.call(body=asking(), headers=provider.plays_as(play))
        assert first.status in (200, 502)
        second: Answer = lectr.call(body=asking())
        assert second.json == CHAT


def test_a_connection_closed_while_idle_is_not_used_again(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.json(CHAT)
        call.hang_up()

    for _ in range(20):
        assert lectr.call(body=asking(), headers=provider.plays_as(play)).status == 200
