"""The client hangs up in each phase: the provider's side is closed within 250 ms, and the row says what happened."""

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from app.upstream.transport import PooledTransport
from tests.edge.asking import asking
from tests.edge.conftest import StartLectr
from tests.edge.provider import CHAT, Call, Provider, chat_events
from tests.running import Lectr, Raw

SOON_S = 0.25


async def _resolve(host: str, port: int) -> list[str]:
    if host == "slow.example":
        await asyncio.sleep(30)
    return [host]


@pytest.fixture(scope="module")
def lectr(start_lectr: StartLectr) -> Iterator[Lectr]:
    """Groq's name takes for ever to be found."""
    transport = PooledTransport(allow_private=True, resolver=_resolve)
    with start_lectr(transport=transport, groq_base_url="http://slow.example") as lectr:
        yield lectr


def leave(lectr: Lectr, raw: Raw, feature: str) -> tuple[float, dict[str, Any]]:
    """Hang up; gives the moment and the row."""
    left_at = time.monotonic()
    raw.vanish()
    return left_at, lectr.rows(1, feature=feature)[0]


def check_left(row: dict[str, Any]) -> None:
    assert (row["outcome"], row["error_source"], row["error_code"]) == ("client_closed", "client", None)


def check_estimate(row: dict[str, Any], output_tokens: int = 0) -> None:
    check_left(row)
    assert row["usage_source"] == "estimated"
    assert row["prompt_bytes"] > 0
    assert (row["input_tokens"], row["output_tokens"]) == (-(-row["prompt_bytes"] // 4), output_tokens)
    assert row["cost_picousd"] == row["input_tokens"] * 150_000 + output_tokens * 600_000


def test_while_connecting(lectr: Lectr) -> None:
    feature = uuid.uuid4().hex
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking("llama-3.3-70b-versatile"), {"x-lectr-feature": feature}))
        time.sleep(0.1)
        left_at, row = leave(lectr, raw, feature)
    assert time.monotonic() - left_at < SOON_S
    check_left(row)
    assert (row["status"], row["cost_picousd"], row["usage_source"]) == (None, 0, "none")


@pytest.mark.parametrize("stream", [False, True])
def test_before_the_first_byte(lectr: Lectr, provider: Provider, stream: bool) -> None:
    async def play(call: Call) -> None:
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play)
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=stream), headers | {"x-lectr-feature": feature}))
        seen = provider.played(headers)
        time.sleep(0.05)
        left_at, row = leave(lectr, raw, feature)
    assert seen.over.wait(1)
    assert seen.left_at is not None
    assert seen.left_at - left_at < SOON_S
    check_estimate(row)
    assert row["status"] is None


@pytest.mark.parametrize("events", [1, 2])
def test_amid_a_stream(lectr: Lectr, provider: Provider, events: int) -> None:
    sent = chat_events("Hello there", ", world", usage=True)

    async def play(call: Call) -> None:
        await call.stream(*sent[:events])
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play)
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=True), headers | {"x-lectr-feature": feature}))
        raw.read_until(b"there" if events == 1 else b"world")
        seen = provider.played(headers)
        left_at, row = leave(lectr, raw, feature)
    assert seen.over.wait(1)
    assert seen.left_at is not None
    assert seen.left_at - left_at < SOON_S
    check_estimate(row, output_tokens=3 if events == 1 else 5)
    assert (row["status"], row["response_model"]) == (200, "gpt-4o-mini-2024-07-18")


@pytest.mark.parametrize("body", [b"", b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "Hel'])
def test_amid_a_whole_answer(lectr: Lectr, provider: Provider, body: bytes) -> None:
    async def play(call: Call) -> None:
        await call.head(200, ("content-type", "application/json"), ("content-length", "500"))
        await call.send(body)
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play)
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(), headers | {"x-lectr-feature": feature}))
        seen = provider.played(headers)
        time.sleep(0.1)
        left_at, row = leave(lectr, raw, feature)
    assert seen.over.wait(1)
    assert seen.left_at is not None
    assert seen.left_at - left_at < SOON_S
    check_left(row)
    assert (row["usage_source"], row["status"]) == ("estimated", None)
    assert row["cost_picousd"] > 0


def test_during_its_upload(lectr: Lectr, provider: Provider) -> None:
    feature, mark = uuid.uuid4().hex, uuid.uuid4().hex
    with Raw(lectr.port) as raw:
        request = lectr.raw("/v1/files", b"", {"x-lectr-feature": feature, "x-mark": mark})
        raw.send(request.replace(b"content-length: 0", b"content-length: 1000000") + b"x" * 1000)
        seen = provider.asked("x-mark", mark)
        time.sleep(0.05)
        left_at, row = leave(lectr, raw, feature)
    assert seen.over.wait(1)
    assert seen.left_at is not None
    assert seen.left_at - left_at < SOON_S
    check_left(row)
    assert (row["status"], row["cost_picousd"], row["endpoint"]) == (None, 0, "other")


def test_before_its_body_is_whole(lectr: Lectr, provider: Provider) -> None:
    before, feature = len(provider.seen), uuid.uuid4().hex
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(), {"x-lectr-feature": feature})[:-3])
        time.sleep(0.05)
        _, row = leave(lectr, raw, feature)
    check_left(row)
    assert (row["status"], row["cost_picousd"], row["provider"], row["request_model"]) == (None, 0, None, None)
    assert len(provider.seen) == before


def test_after_the_last_event_all_is_known(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.stream(*chat_events("Hello", usage=True))
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play)
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=True), headers | {"x-lectr-feature": feature}))
        raw.read_until(b"[DONE]")
        _, row = leave(lectr, raw, feature)
    assert provider.played(headers).over.wait(1)
    assert (row["outcome"], row["usage_source"], row["cost_picousd"]) == ("ok", "provider", 4350000)


def test_anthropics_counters_so_far_are_kept(lectr: Lectr, provider: Provider) -> None:
    start = {"input_tokens": 1000, "cache_read_input_tokens": 200, "output_tokens": 1}
    message = {"type": "message_start", "message": {"model": "claude-sonnet-4-5-20250929", "usage": start}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 40}}

    async def play(call: Call) -> None:
        events = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (message, delta)]
        await call.stream(*events)
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play) | {"authorization": "Bearer sk-ant-x"}
    with Raw(lectr.port) as raw:
        body = asking("claude-sonnet-4-5", stream=True)
        raw.send(lectr.raw("/v1/messages", body, headers | {"x-lectr-feature": feature}))
        raw.read_until(b"xxxx")
        _, row = leave(lectr, raw, feature)
    check_left(row)
    assert (row["input_tokens"], row["cache_read_input_tokens"], row["output_tokens"]) == (1000, 200, 10)
    assert (row["usage_source"], row["cost_usd"]) == ("estimated", "0.00321")


def test_a_reset_is_a_hang_up_too(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await asyncio.sleep(30)

    feature, headers = uuid.uuid4().hex, provider.plays_as(play)
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(), headers | {"x-lectr-feature": feature}))
        seen = provider.played(headers)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        left_at, row = leave(lectr, raw, feature)
    assert seen.over.wait(1)
    assert seen.left_at is not None
    assert seen.left_at - left_at < SOON_S
    check_left(row)


def test_who_leaves_takes_nobody_along(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.stream(*chat_events("Hello", usage=True)[:1])
        await asyncio.sleep(0.02)
        await call.send(b"")

    feature = uuid.uuid4().hex
    for number in range(40):
        headers = provider.plays_as(play) | {"x-lectr-feature": feature}
        with Raw(lectr.port) as raw:
            raw.send(lectr.raw("/v1/chat/completions", asking(stream=True), headers))
            if number % 2:
                raw.read_until(b"Hello")
        assert lectr.call(body=asking()).json == CHAT
    rows = lectr.rows(40, feature=feature)
    assert {row["outcome"] for row in rows} <= {"client_closed", "upstream_reset"}
    assert lectr.health()["in_flight"] == 0
