"""Threats 30, 32 and 35, faults 1 to 9 and 30: what a provider does or fails to do, as caller and ledger see it."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import CHAT, Call, Provider, chat_events
from tests.running import Lectr, Raw, data_settings, running

LIMITS = {"first_byte_timeout_s": 0.8, "idle_timeout_s": 0.8, "stream_timeout_s": 2.0, "connect_timeout_s": 1.0}


@pytest.fixture(scope="module")
def hasty(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    values = {**LIMITS, **upstream_settings(provider.address)}
    with running(data_settings(tmp_path_factory.mktemp("hasty"), **values)) as lectr:
        yield lectr


def test_t30_a_stream_that_drips_for_ever_ends_at_the_limit(hasty: Lectr, provider: Provider) -> None:
    async def drip(call: Call) -> None:
        await call.stream(*chat_events("a", usage=False, done=False))
        while True:
            await call.chunk(b": still here\n\n")
            await asyncio.sleep(0.2)

    headers = provider.plays_as(drip)
    began = time.monotonic()
    answer = hasty.call(body=asking(stream=True), headers=headers)
    assert 1.5 < time.monotonic() - began < 8.0
    assert not answer.whole
    assert provider.played(headers).over.wait(3)
    row = hasty.row(answer.id)
    assert (row["outcome"], row["usage_source"]) == ("upstream_timeout", "estimated")


def test_t30_a_stream_that_pauses_ends_at_the_idle_limit(hasty: Lectr, provider: Provider) -> None:
    async def pause(call: Call) -> None:
        await call.stream(*chat_events("a", usage=False, done=False))
        await asyncio.sleep(10)

    answer = hasty.call(body=asking(stream=True), headers=provider.plays_as(pause))
    assert not answer.whole
    assert hasty.row(answer.id)["outcome"] == "upstream_timeout"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_t32_no_redirect_is_followed(lectr: Lectr, provider: Provider, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        place = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/latest/meta-data"

        async def away(call: Call) -> None:
            await call.whole(status, b"gone", ("location", place))

        answer = lectr.call(body=asking(), headers=provider.plays_as(away))
        assert (answer.status, answer.body) == (status, b"gone")
        time.sleep(0.1)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_t35_no_cookie_of_a_provider_comes_back_to_it_or_to_a_caller(provider: Provider, tmp_path: Any) -> None:
    """On a host name: a jar that keeps cookies keeps them for names."""

    async def baking(call: Call) -> None:
        await call.json(CHAT, 200, ("set-cookie", "session=of-another; Path=/"), ("set-cookie2", "a=b"))

    values = {**upstream_settings(provider.address), "openai_base_url": f"http://localhost:{provider.port}/openai"}
    with running(data_settings(tmp_path, **values)) as lectr:
        since = len(provider.seen)
        for _ in range(5):
            answer = lectr.call(body=asking(), headers=provider.plays_as(baking) | {"cookie": "mine=1"})
            assert (answer.status, answer.header("set-cookie"), answer.header("set-cookie2")) == (200, None, None)
        assert [seen.header("cookie") for seen in provider.seen[since:]] == [None] * 5


def test_f01_and_f03_a_provider_that_is_not_there_is_503_and_one_row(tmp_path: Any) -> None:
    with running(data_settings(tmp_path, openai_base_url="http://127.0.0.1:9")) as lectr:
        answer = lectr.call(body=asking())
        assert (answer.status, answer.code) == (503, "provider_unreachable")
        row = lectr.row(answer.id)
        assert (row["outcome"], row["cost_picousd"]) == ("unreachable", 0)


def test_f04_no_answer_in_time_is_504_and_the_connection_ends(hasty: Lectr, provider: Provider) -> None:
    async def silent(_call: Call) -> None:
        await asyncio.sleep(10)

    headers = provider.plays_as(silent)
    answer = hasty.call(body=asking(), headers=headers)
    assert (answer.status, answer.code) == (504, "provider_timeout")
    assert provider.played(headers).over.wait(2)
    assert hasty.row(answer.id)["outcome"] == "upstream_timeout"


@pytest.mark.parametrize("after", [0, 1, 60, 200])
def test_f05_a_reset_is_never_a_clean_end(lectr: Lectr, provider: Provider, after: int) -> None:
    whole = b"".join(chat_events("one", "two", usage=False))

    async def broken(call: Call) -> None:
        if after:
            await call.stream(whole[:after])
            await asyncio.sleep(0.05)
        call.reset()

    answer = lectr.call(body=asking(stream=True), headers=provider.plays_as(broken))
    assert answer.status == (200 if after else 502)
    assert answer.whole is (after == 0)
    assert lectr.row(answer.id)["outcome"] == "upstream_reset"


def test_f06_a_body_that_is_cut_short_is_never_a_clean_end(lectr: Lectr, provider: Provider) -> None:
    async def cut(call: Call) -> None:
        await call.head(200, ("content-type", "application/json"), ("content-length", "400"))
        await call.send(json.dumps(CHAT).encode()[:100])
        call.hang_up()

    answer = lectr.call(body=asking(), headers=provider.plays_as(cut))
    assert (answer.status, answer.whole) == (200, False)
    assert lectr.row(answer.id)["outcome"] == "upstream_reset"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
def test_f07_an_error_passes_byte_for_byte_once(lectr: Lectr, provider: Provider, status: int) -> None:
    body = b'{"error":  {"message":"no", "code":"rate_limit_exceeded"}}'

    async def refuse(call: Call) -> None:
        await call.whole(status, body, ("content-type", "application/json"), ("retry-after", "7"))

    headers = provider.plays_as(refuse) | {"x-probe": f"f07-{status}"}
    answer = lectr.call(body=asking(), headers=headers)
    assert (answer.status, answer.body, answer.header("retry-after")) == (status, body, "7")
    provider.asked("x-probe", f"f07-{status}")
    row = lectr.row(answer.id)
    assert (row["outcome"], row["error_code"], row["cost_picousd"]) == ("provider_error", "rate_limit_exceeded", 0)


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"usage":', b"\xff\xfe", b"null", b"[]", b'"x"'])
def test_f08_nonsense_passes_and_costs_nobody_knows_what(lectr: Lectr, provider: Provider, body: bytes) -> None:
    async def nonsense(call: Call) -> None:
        await call.whole(200, body, ("content-type", "application/json"))

    answer = lectr.call(body=asking(), headers=provider.plays_as(nonsense))
    assert (answer.status, answer.body) == (200, body)
    row = lectr.row(answer.id)
    assert (row["outcome"], row["cost_picousd"], row["cost_reason"]) == ("ok", None, "no_usage")


@pytest.mark.parametrize("when", ["before the answer", "in the stream", "in the upload"])
def test_f09_when_the_caller_leaves_the_call_upstream_ends_and_there_is_one_row(
    lectr: Lectr, provider: Provider, when: str
) -> None:
    async def slow(call: Call) -> None:
        if when == "in the stream":
            await call.stream(*chat_events("a", usage=False, done=False))
        await asyncio.sleep(10)

    headers = provider.plays_as(slow) | {"x-lectr-feature": f"f09 {when}"}
    sent = lectr.raw("/v1/chat/completions", asking(stream=True), headers)
    with Raw(lectr.port) as raw:
        raw.send(sent[:-5] if when == "in the upload" else sent)
        if when == "in the stream":
            raw.read_until(b"data: ")
        elif when == "before the answer":
            provider.played(headers)
        time.sleep(0.1)
        raw.vanish()
    if when != "in the upload":
        assert provider.played(headers).over.wait(2)
    [row] = lectr.rows(1, within_s=5, feature=f"f09 {when}")
    assert row["outcome"] == "client_closed"


def test_f32_a_connection_that_closes_while_idle_costs_no_request_and_sends_nothing_twice(
    lectr: Lectr, provider: Provider
) -> None:
    async def closing(call: Call) -> None:
        await call.json(CHAT)
        await asyncio.sleep(int(call.seen.header("x-pause") or 0) / 1000)
        call.hang_up()

    headers, since, lost = provider.plays_as(closing), len(provider.seen), 0
    for number in range(40):
        answer = lectr.call(body=asking(), headers=headers | {"x-pause": str(number % 10), "x-number": str(number)})
        lost += answer.status == 502
        assert answer.status in (200, 502)
        time.sleep(0.005)
    numbers = [seen.header("x-number") for seen in provider.seen[since:]]
    assert len(set(numbers)) == len(numbers)
    assert lost <= 4


@pytest.mark.parametrize(
    "hook", ["app.detection.credentials.detect", "app.metering.settle.usual_cost", "app.pipeline.build_entry"]
)
def test_f30_a_fault_of_our_own_is_none_of_the_requests(
    hasty: Lectr, lectr: Lectr, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """All hooks are in tests/edge/test_own_faults.py."""
    # The hook is the whole process's: nothing else may be under way.
    while lectr.health()["in_flight"]:
        time.sleep(0.05)
    before = hasty.health()["unexpected_errors"]

    def fails(*_: object, **__: object) -> Any:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(hook, fails)
    answer = hasty.call(body=asking())
    monkeypatch.undo()
    assert (answer.status, answer.json) == (200, CHAT)
    assert hasty.row(answer.id)["status"] == 200
    assert hasty.health()["unexpected_errors"] <= before + 1
