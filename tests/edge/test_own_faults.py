"""Whatever fails in Lectr itself, the request is served unchanged: the request path is sacred (F30)."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.edge.asking import SHAPES, asking
from tests.edge.conftest import StartLectr
from tests.edge.provider import CHAT, Provider, chat_events
from tests.edge.test_auth import mark
from tests.running import Lectr


@pytest.fixture(scope="module")
def lectr(start_lectr: StartLectr) -> Iterator[Lectr]:
    with start_lectr() as lectr:
        yield lectr


def fails(*_: object, **__: object) -> Any:
    raise RuntimeError("a fault of our own, with sk-canary in it")


PLACES = {
    "detector": "app.detection.credentials.detect",
    "price": "app.metering.settle.usual_cost",
    "usage": "app.metering.settle.split_usage",
    "usage text": "app.metering.settle.usage_json",
    "reader": "app.upstream.formats.openai_chat.ChatReader.feed",
    "reader's event": "app.upstream.formats.openai_chat.ChatReader.read_event",
    "reader's document": "app.upstream.formats.openai_chat.ChatReader.read_document",
    "reader's end": "app.upstream.formats.openai_chat.ChatReader.finish",
    "no reader": "app.pipeline.reader_for",
    "request's detail": "app.record.request_detail",
    "row": "app.pipeline.build_entry",
    "note": "app.pipeline.started_of",
    "hiding keys": "app.record.hide_in_row",
    "ledger": "app.ledger.writer.LedgerWriter.hand_over",
    "ledger's note": "app.ledger.writer.LedgerWriter.begin",
    "asking for usage": "app.upstream.targets.add_stream_usage",
}
ROWLESS = ("ledger",)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_of_ours_is_no_fault_of_the_request(
    lectr: Lectr, monkeypatch: pytest.MonkeyPatch, place: str, stream: bool
) -> None:
    monkeypatch.setattr(PLACES[place], fails)
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = lectr.call(body=asking(**more))
    assert (answer.status, answer.whole, answer.header("x-lectr-provider")) == (200, True, "openai")
    wanted = b"".join(chat_events("Hello", usage=place != "asking for usage" or stream))
    assert answer.body == wanted if stream else answer.json == CHAT
    monkeypatch.undo()
    if place not in ROWLESS:
        row = lectr.row(answer.id)
        assert (row["status"], row["key"], row["provider"], row["outcome"]) == (200, "plain", "openai", "ok")
        assert row["cost_picousd"] in (None, 4350000)
        assert row["cost_picousd"] or row["cost_reason"] in ("reader_failed", "no_usage")
    again = lectr.call(body=asking())
    assert lectr.row(again.id)["cost_picousd"] == 4350000


def test_a_stream_that_could_not_be_asked_for_usage_is_unpriced(lectr: Lectr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PLACES["asking for usage"], fails)
    answer = lectr.call(body=asking(stream=True))
    assert answer.body == b"".join(chat_events("Hello", usage=False))
    assert lectr.row(answer.id)["cost_reason"] == "no_usage"


@pytest.mark.parametrize("shape", SHAPES)
def test_also_without_detection_no_key_goes_to_another_company(
    lectr: Lectr, provider: Provider, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    monkeypatch.setattr(PLACES["detector"], fails)
    headers = mark(shape)
    answer = lectr.call(body=asking(), headers=headers, provider_key=SHAPES[shape])
    wanted = shape if shape != "none" else "openai"
    assert answer.status == 200
    assert provider.asked("x-mark", headers["x-mark"]).target.split("/")[1] == wanted
    row = lectr.row(answer.id)
    assert (row["provider"], row["flags"]) == (wanted, ["detection_failed"])
    azure = lectr.call(body=asking(), headers={"x-lectr-provider": "azure"}, provider_key=SHAPES["none"])
    assert azure.header("x-lectr-provider") == "azure"


def test_what_fails_says_so_in_health_and_nothing_of_the_fault_to_the_client(
    lectr: Lectr, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lectr.health()["unexpected_errors"]
    monkeypatch.setattr("app.edge.routes.read_facts", fails)
    answer = lectr.call(body=asking())
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "canary" not in answer.body.decode()
    assert lectr.row(answer.id)["error_source"] == "lectr"
    assert lectr.health()["unexpected_errors"] == before + 1
    assert lectr.health()["status"] == "degraded"


@pytest.mark.parametrize("outcome", [TimeoutError, OSError])
def test_a_database_that_fails_delays_nobody(
    lectr: Lectr, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[], Exception]
) -> None:
    async def fails_later(*_: object) -> None:
        raise outcome()

    monkeypatch.setattr("app.ledger.writer.insert_packed", fails_later)
    began = time.monotonic()
    ids = [lectr.call(body=asking()).id for _ in range(20)]
    assert time.monotonic() - began < 2
    monkeypatch.undo()
    assert [lectr.row(id, within_s=8)["cost_picousd"] for id in ids] == [4350000] * 20
