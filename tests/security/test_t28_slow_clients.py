"""Threats 28, 29, 49 and 50, faults 1 and 31: who is slow, greedy or early harms nobody else."""

import asyncio
import logging
import logging.handlers
import queue
import time
from pathlib import Path
from typing import Any

import pytest

from app.asgi import create_app
from app.commands.logs import _Dropping
from app.edge.client import Message
from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Call, Provider
from tests.running import Raw, data_settings, running
from tests.security.wire import statuses

DEADLINES = {"client_headers_timeout_s": 1.0, "client_body_timeout_s": 1.0, "client_write_timeout_s": 1.0}


@pytest.mark.parametrize("kind", ["silent", "header", "drip", "body"])
def test_t28_a_client_that_stalls_is_closed(kind: str, provider: Provider, tmp_path: Path) -> None:
    starts = {
        "silent": b"",
        "header": b"GET / HTTP/1.1\r\nx: ",
        "drip": b"GET / HTTP/1.1\r\nx: ",
        "body": b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    }
    with running(data_settings(tmp_path, **DEADLINES, **upstream_settings(provider.address))) as lectr:
        with Raw(lectr.port) as raw:
            raw.send(starts[kind])
            began = time.monotonic()
            while kind == "drip" and time.monotonic() - began < 4:
                try:
                    raw.send(b"y")
                except ConnectionError:
                    break
                time.sleep(0.1)
            raw.read_all()
            assert time.monotonic() - began < 1.0 + 2.5
        assert lectr.call(body=asking()).status == 200


def test_t29_a_keys_limits_answer_429_with_retry_after(provider: Provider, tmp_path: Path) -> None:
    async def endless(call: Call) -> None:
        await call.stream(b"data: {}\n\n")
        await call.send(b"")
        await asyncio.sleep(5)

    keys = {"two": {"requests_per_minute": 2}, "one": {"streams": 1}}
    with running(data_settings(tmp_path, **upstream_settings(provider.address)), keys=keys) as lectr:
        for status in (200, 200, 429):
            answer = lectr.call(body=asking(), key="two")
            assert answer.status == status
        assert int(answer.header("retry-after") or 0) > 0
        headers = provider.plays_as(endless) | {"x-lectr-key": lectr.keys["one"]}
        sent = lectr.raw("/v1/chat/completions", asking(stream=True), headers)
        with Raw(lectr.port) as raw:
            raw.send(sent).read_until(b"data: {}")
            refused = lectr.call(body=asking(stream=True), key="one")
            assert (refused.status, refused.code) == (429, "concurrent_streams_exceeded")
            assert refused.header("retry-after") == "1"
            assert lectr.call(body=asking(stream=True)).status == 200


def test_t49_a_callers_request_id_names_no_row(provider: Provider, tmp_path: Path) -> None:
    with running(data_settings(tmp_path, **upstream_settings(provider.address))) as lectr:
        forged = "01930000-0000-7000-8000-000000000000"
        headers = {"x-request-id": forged, "x-lectr-request-id": forged}
        ids = {lectr.call(body=asking(), headers=headers).id for _ in range(50)}
        assert len(ids) == 50
        assert forged not in ids


@pytest.mark.anyio
async def test_t50_before_the_keys_are_read_nobody_is_let_in_or_turned_away(provider: Provider, tmp_path: Path) -> None:
    app = create_app(data_settings(tmp_path, **upstream_settings(provider.address)))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    path = b"/v1/chat/completions"
    headers = [(b"x-lectr-key", b"lc_key_" + b"a" * 32)]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "headers": headers,
    }
    since = len(provider.seen)
    scope |= {"query_string": b"", "scheme": "http", "client": None, "server": None, "root_path": "", "state": {}}
    await app(scope, receive, send)
    assert (sent[0]["status"], len(provider.seen)) == (503, since)
    assert b"starting" in sent[1]["body"]


def test_f01_a_provider_that_is_down_is_told_at_once(tmp_path: Path) -> None:
    with running(data_settings(tmp_path, openai_base_url="http://127.0.0.1:9")) as lectr:
        began = time.monotonic()
        answer = lectr.call(body=asking())
        assert time.monotonic() - began < 1.0
        assert (answer.status, answer.code) == (503, "provider_unreachable")
        assert lectr.row(answer.id)["outcome"] == "unreachable"


def test_f31_a_log_nobody_reads_holds_nobody_up() -> None:
    handler = _Dropping(queue.Queue(10))
    began = time.monotonic()
    for number in range(10_000):
        handler.handle(logging.LogRecord("lectr", logging.INFO, "", 0, "line %d", (number,), None))
    assert time.monotonic() - began < 2.0
    assert handler.queue.qsize() == 10  # type: ignore[attr-defined]


def test_a_connection_that_waits_between_requests_is_no_slow_client(provider: Provider, tmp_path: Path) -> None:
    settings = data_settings(tmp_path, **DEADLINES, **upstream_settings(provider.address))
    with running(settings) as lectr, Raw(lectr.port) as raw:
        for _ in range(2):
            assert statuses(raw.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").read_until(b"}")) == [200]
            time.sleep(1.5)
