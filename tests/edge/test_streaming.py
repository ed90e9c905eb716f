"""Answers as they come: chunk by chunk, byte for byte, whatever they hold."""

import asyncio
import gzip
import json
import random
import time
from typing import Any

import pytest

from tests.edge.asking import asking
from tests.edge.provider import CHAT, USAGE, Call, Provider, chat_events
from tests.running import Lectr, Raw


def test_a_chunk_is_there_before_the_next_one_is_sent(lectr: Lectr, provider: Provider) -> None:
    events = chat_events(*"abcdef", usage=True)
    left: list[float] = []

    async def play(call: Call) -> None:
        await call.stream()
        for event in events:
            left.append(time.monotonic())
            await call.chunk(event)
            await asyncio.sleep(0.05)
        await call.end()

    came: list[float] = []
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=True), provider.plays_as(play)))
        seen = b""
        while len(came) < 6:
            seen += raw.socket.recv(65536)
            came += [time.monotonic()] * (seen.count(b"\n\n") - len(came))
    late = [there - sent for there, sent in zip(came, left, strict=False)]
    assert all(0 < each < 0.045 for each in late), late


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_a_stream_cut_anywhere_is_the_same_stream(lectr: Lectr, provider: Provider, seed: int, asked: bool) -> None:
    body = b"".join(chat_events("Grüße", " aus", " \u2028 München", usage=True)).replace(
        b"\n", random.Random(seed).choice((b"\n", b"\r\n"))
    )
    cuts = random.Random(seed)

    async def play(call: Call) -> None:
        await call.stream()
        at = 0
        while at < len(body):
            size = cuts.choice((1, 2, 3, 10, 200))
            await call.chunk(body[at : at + size])
            at += size
            await asyncio.sleep(0)
        await call.end()

    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    answer = lectr.call(body=asking(stream=True, **more), headers=provider.plays_as(play))
    wanted = body
    if not asked:
        line = body.split(b"data: ")
        wanted = b"data: ".join(part for part in line if b'"choices":[]' not in part).replace(b',"usage":null', b"")
    assert answer.body == wanted
    assert answer.header("x-accel-buffering") == "no"
    row = lectr.row(answer.id)
    assert (row["cost_picousd"], row["input_tokens"], row["output_tokens"]) == (4350000, 9, 5)
    assert (row["usage_source"], row["streamed"], row["outcome"]) == ("provider", True, "ok")


@pytest.mark.parametrize(
    ("model", "options", "added"),
    [
        ("gpt-4o-mini", {}, True),
        ("gpt-4o-mini", {"stream_options": {"include_usage": False, "x": 1}}, True),
        ("gpt-4o-mini", {"stream_options": None}, True),
        ("gpt-4o-mini", {"stream_options": {"include_usage": True}}, False),
        ("gemini-2.5-flash", {}, True),
        ("llama-3.3-70b-versatile", {}, False),
        ("claude-sonnet-4-5", {}, False),
    ],
)
def test_whom_lectr_asks_for_usage(
    lectr: Lectr, provider: Provider, model: str, options: dict[str, object], added: bool
) -> None:
    headers = {"x-mark": f"{model}{options}"}
    lectr.call(body=asking(model, stream=True, **options), headers=headers)
    sent, seen = (
        json.dumps(asking(model, stream=True, **options)).encode(),
        provider.asked("x-mark", headers["x-mark"]).body,
    )
    assert (seen != sent) == added
    got = json.loads(seen)
    if added:
        assert got["stream_options"]["include_usage"] is True
        assert {**got, "stream_options": None} == {**json.loads(sent), "stream_options": None}


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "GZIP"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_encoded_answer_passes_raw(lectr: Lectr, provider: Provider, encoding: str, stream: bool) -> None:
    body = gzip.compress(json.dumps(CHAT).encode())
    kind = "text/event-stream" if stream else "application/json"

    async def play(call: Call) -> None:
        await call.whole(200, body, ("content-type", kind), ("content-encoding", encoding))

    answer = lectr.call(body=asking(stream=stream), headers=provider.plays_as(play))
    assert (answer.body, answer.header("content-encoding")) == (body, encoding)
    assert answer.header("x-lectr-cost-usd") is None
    row = lectr.row(answer.id)
    assert (row["cost_picousd"], row["cost_reason"], row["usage_source"]) == (None, "encoded_body", "none")
    assert row["outcome"] == "ok"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"<html>busy</html>", "text/html"),
        (b"[]", "application/json"),
        (b'{"usage": "many"}', "application/json"),
        (b'{"usage": {"prompt_tokens": "x"}}', "application/json"),
        (b"null", "application/json"),
        (b"data: not json\n\ndata: [DONE]\n\n", "text/event-stream"),
        (b"\xff\xfe\x00", "application/json"),
        (b"[" * 5000, "application/json"),
        (b"\x00" * 70000, "application/octet-stream"),
    ],
)
def test_nonsense_passes_unchanged_and_costs_nothing_known(
    lectr: Lectr, provider: Provider, body: bytes, kind: str
) -> None:
    async def play(call: Call) -> None:
        await call.whole(200, body, ("content-type", kind))

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (answer.status, answer.body, answer.header("content-type")) == (200, body, kind)
    row = lectr.row(answer.id)
    assert (row["cost_picousd"], row["cost_reason"] in ("no_usage", "reader_failed")) == (None, True)


@pytest.mark.parametrize("tokens", [-1, 1.5, 10**30, "12", True, None, float("inf")])
def test_odd_counts_make_one_row_with_a_sound_cost(lectr: Lectr, provider: Provider, tokens: object) -> None:
    async def play(call: Call) -> None:
        await call.json({**CHAT, "usage": {**USAGE, "completion_tokens": tokens}})

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    row = lectr.row(answer.id)
    assert answer.status == 200
    assert row["cost_picousd"] is None or 0 <= row["cost_picousd"] < 2**63
    assert row["output_tokens"] is None or 0 <= row["output_tokens"] <= 2**53


def test_a_line_of_eight_megabytes_passes(lectr: Lectr, provider: Provider) -> None:
    head, *rest = chat_events("x" * 8_000_000, usage=True)

    async def play(call: Call) -> None:
        await call.stream()
        for at in range(0, len(head), 65536):
            await call.chunk(head[at : at + 65536])
        for event in rest:
            await call.chunk(event)
        await call.end()

    answer = lectr.call(body=asking(stream=True), headers=provider.plays_as(play))
    assert len(answer.body) > 8_000_000
    assert answer.whole
    assert lectr.row(answer.id)["cost_picousd"] == 4350000


def test_an_answer_without_a_length_ends_with_its_connection(lectr: Lectr, provider: Provider) -> None:
    body = json.dumps(CHAT).encode()

    async def play(call: Call) -> None:
        await call.head(200, ("content-type", "application/json"), ("connection", "close"))
        await call.send(body)
        call.hang_up()

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (answer.body, answer.whole, lectr.row(answer.id)["cost_picousd"]) == (body, True, 4350000)


@pytest.mark.parametrize("status", [204, 304, 205])
def test_an_answer_without_a_body(lectr: Lectr, provider: Provider, status: int) -> None:
    async def play(call: Call) -> None:
        await call.head(status, *([("content-length", "0")] if status == 205 else []))

    answer = lectr.call("/v1/files/f_1", method="DELETE", headers=provider.plays_as(play))
    assert (answer.status, answer.body, answer.whole) == (status, b"", True)


def test_interim_answers_are_not_the_answer(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        await call.send(b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        await call.json(CHAT)

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (answer.status, answer.json, answer.header("link")) == (200, CHAT, None)


def test_an_error_amid_a_stream_is_passed_and_named(lectr: Lectr, provider: Provider) -> None:
    error = b'data: {"error":{"message":"no","code":"tool_use_failed"}}\n\n'

    async def play(call: Call) -> None:
        await call.stream(*chat_events("Hello", usage=False, done=False)[:1], error)
        await call.end()

    answer = lectr.call(body=asking(stream=True), headers=provider.plays_as(play))
    assert answer.body.endswith(error)
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["error_code"]) == (200, "provider_error", "tool_use_failed")
    assert (row["usage_source"], row["output_tokens"]) == ("estimated", 2)
