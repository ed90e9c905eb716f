"""The order of one request: noted before it goes out, written down before the caller can see its end, once."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from app.catalog.catalog import CatalogHolder
from app.catalog.load import load_catalog
from app.counters import Counters
from app.domain import Headers, Outcome
from app.errors import RequestRejected
from app.ledger.team import TeamStore
from app.ledger.writer import LedgerWriter
from app.pipeline import CONFIRM_S, Pipeline
from app.record import Record
from app.settings import Settings
from app.upstream.client import UpstreamClient
from app.upstream.exchange import Call, Exchanges
from app.upstream.formats import RequestFacts
from tests.edge.provider import CHAT, chat_events
from tests.fakes import STARTED_AT_US, FakeCaller, FakeLedger, FakeProvider, FakeTeam, inbound

pytestmark = pytest.mark.anyio
HOLDER = CatalogHolder(load_catalog(Path(__file__).parents[1] / "registry"))
BODY = json.dumps(CHAT).encode()


class Stage:
    """A pipeline among its fakes."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.caller, self.ledger = FakeCaller(self.events), FakeLedger(self.events)
        self.provider, self.counters = FakeProvider(), Counters()
        self.pipeline = Pipeline(
            Settings(),
            HOLDER,
            cast(LedgerWriter, self.ledger),
            cast(TeamStore, FakeTeam()),
            UpstreamClient(self.provider, Settings()),
            self.counters,
            lambda: STARTED_AT_US,
        )

    async def run(self, **request: Any) -> Record:
        record = Record(inbound(**request), self.caller, time.perf_counter_ns())
        await self.pipeline.run(record, RequestFacts(model=record.request.model, stream=record.request.stream))
        return record

    @property
    def order(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def rows(self) -> list[Any]:
        return [value for name, value in self.events if name == "row"]

    @property
    def body(self) -> bytes:
        return b"".join(value for name, value in self.events if name in ("write", "end"))


async def test_a_held_answer_is_written_down_before_it_starts() -> None:
    stage = Stage()
    stage.provider.headers["content-length"] = str(len(BODY))
    stage.provider.chunks = [BODY[:50], BODY[50:]]
    await stage.run()
    assert stage.order == ["begin", "row", "start", "end"]
    assert stage.events[2][1][1][b"x-lectr-cost-usd"] == b"0.00000435"
    assert (stage.body, stage.rows[0].cost_picousd) == (BODY, 4_350_000)


async def test_of_a_known_length_the_last_byte_waits_for_the_row() -> None:
    stage = Stage()
    stage.provider.headers = {"content-type": "text/plain", "content-length": str(len(BODY))}
    stage.provider.chunks = [BODY[:-1], BODY[-1:]]
    await stage.run()
    assert stage.order == ["begin", "start", "write", "row", "write", "end"]
    assert stage.body == BODY


async def test_a_streams_terminal_event_waits_for_the_row() -> None:
    stage = Stage()
    stage.provider.headers = {"content-type": "text/event-stream"}
    events = chat_events("a", usage=True)
    stage.provider.chunks = list(events)
    await stage.run(stream=True)
    assert stage.order[:2] == ["begin", "start"]
    assert stage.order[-3:] == ["row", "write", "end"]
    assert stage.events[-2][1] == b"data: [DONE]\n\n"
    assert stage.rows[0].outcome == Outcome.OK


async def test_an_answer_without_either_ends_after_its_row() -> None:
    stage = Stage()
    stage.provider.headers = {"content-type": "application/x-ndjson"}
    stage.provider.chunks = [b"a\n", b"b\n"]
    await stage.run()
    assert stage.order == ["begin", "start", "write", "write", "row", "end"]


class AtHand:
    """An exchange that knows which of its chunks have come."""

    def __init__(self, chunks: list[bytes], come: int) -> None:
        self.status = 200
        self.headers: Headers = [(b"content-type", b"text/event-stream")]
        self._chunks = chunks
        self._come = come

    @property
    def waiting(self) -> bool:
        return self._come > 0 and bool(self._chunks)

    @property
    def ended(self) -> bool:
        return not self._chunks

    async def read(self) -> bytes:
        self._come -= 1
        return self._chunks.pop(0) if self._chunks else b""

    async def aclose(self) -> None:
        pass

    async def exchange(self, call: Call) -> "AtHand":
        call.on_sent()
        return self


@pytest.mark.parametrize(
    ("pieces", "come", "order"),
    [
        (1, 1, ["begin", "row", "start", "end"]),
        (1, 0, ["begin", "start", "row", "end"]),
        (2, 1, ["begin", "start", "write", "row", "end"]),
        (2, 0, ["begin", "start", "write", "row", "end"]),
    ],
)
async def test_what_came_together_leaves_together(pieces: int, come: int, order: list[str]) -> None:
    stage = Stage()
    body = b"".join(chat_events("a", usage=True))
    cut = body.index(b"\n\n") + 2
    chunks = [body] if pieces == 1 else [body[:cut], body[cut:]]
    stage.pipeline._upstream._exchanges = cast(Exchanges, AtHand(chunks, come))
    await stage.run(stream=True)
    assert stage.order == order
    assert stage.body.endswith(b"data: [DONE]\n\n")
    assert stage.rows[0].outcome == Outcome.OK


async def test_a_slow_ledger_is_waited_for_once_and_briefly() -> None:
    stage = Stage()
    stage.ledger.slow = True
    stage.provider.chunks = [BODY]
    took = []
    for _ in range(3):
        began = time.perf_counter()
        await stage.run()
        took.append(time.perf_counter() - began)
    assert CONFIRM_S <= took[0] < CONFIRM_S + 2
    assert max(took[1:]) < CONFIRM_S
    assert stage.counters.ledger_unconfirmed == 3
    for future in stage.ledger.futures:
        future.set_result(None)
    await asyncio.sleep(0)
    began = time.perf_counter()
    await stage.run()
    assert time.perf_counter() - began >= CONFIRM_S


async def test_what_breaks_is_written_down_once() -> None:
    stage = Stage()
    stage.provider.headers = {"content-type": "text/event-stream"}
    stage.provider.chunks = [*chat_events("a", usage=True)[:1], httpx.ReadError("gone")]
    record = await stage.run(stream=True)
    assert stage.order == ["begin", "start", "write", "row"]
    assert (stage.rows[0].outcome, stage.rows[0].status) == (Outcome.UPSTREAM_RESET, 200)
    stage.pipeline.leave(record)
    assert len(stage.rows) == 1


@pytest.mark.parametrize(
    ("fault", "status", "outcome", "cost"),
    [
        (httpx.ConnectError("x"), 503, Outcome.UNREACHABLE, 0),
        (httpx.ConnectTimeout("x"), 503, Outcome.UNREACHABLE, 0),
        (httpx.ReadTimeout("x"), 504, Outcome.UPSTREAM_TIMEOUT, 0),
        (httpx.ReadError("x"), 502, Outcome.UPSTREAM_RESET, 0),
        (httpx.RemoteProtocolError("x"), 502, Outcome.BAD_RESPONSE, 0),
        (OSError("x"), 502, Outcome.BAD_RESPONSE, 0),
    ],
)
async def test_a_fault_before_a_status_is_lectrs_answer(
    fault: Exception, status: int, outcome: Outcome, cost: int
) -> None:
    stage = Stage()
    stage.provider.fails = fault
    record = Record(inbound(), stage.caller, time.perf_counter_ns())
    with pytest.raises(RequestRejected) as raised:
        await stage.pipeline.run(record, RequestFacts())
    assert raised.value.status == status
    assert stage.rows == []
    await stage.pipeline.reject(record, raised.value)
    (row,) = stage.rows
    assert (row.status, row.outcome, row.cost_picousd, row.error_source) == (status, outcome, cost, "provider")


async def test_a_request_is_sent_once() -> None:
    stage = Stage()
    stage.provider.status, stage.provider.chunks = 503, [b"busy"]
    await stage.run()
    assert len(stage.provider.asked) == 1
    assert stage.rows[0].cost_picousd == 0


async def test_a_cancelled_request_leaves_its_row_behind() -> None:
    stage = Stage()
    reached = asyncio.Event()

    async def silent(request: httpx.Request) -> httpx.Response:
        request.extensions["on_sent"]()
        reached.set()
        await asyncio.sleep(30)
        raise AssertionError

    stage.provider.handle_async_request = silent  # type: ignore[method-assign]
    record = Record(inbound(), stage.caller, time.perf_counter_ns())
    task = asyncio.create_task(stage.pipeline.run(record, RequestFacts()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stage.caller.left = True
    stage.pipeline.leave(record)
    (row,) = stage.rows
    assert (row.outcome, row.status, row.input_tokens, row.cost_picousd) == (Outcome.CLIENT_CLOSED, None, 2, 300_000)
