"""The pipeline's neighbours in their smallest form: a caller, a ledger and a provider that keep what they saw."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx

from app.domain import Headers, InboundRequest, KeyIdentity, LedgerEntry, new_request_id
from app.ledger.team import TeamValues
from tests import canaries

STARTED_AT_US = 1_790_000_000_000_000


def inbound(**values: Any) -> InboundRequest:
    """A chat completion of the key `plain`."""
    known: dict[str, Any] = {
        "id": new_request_id(STARTED_AT_US),
        "started_at_us": STARTED_AT_US,
        "method": "POST",
        "path": "/v1/chat/completions",
        "query": "",
        "endpoint": "chat.completions",
        "headers": [],
        "body": b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"12345678"}]}',
        "key": KeyIdentity(1, "plain"),
        "model": "gpt-4o-mini",
        "provider_keys": (canaries.FAKE,),
    }
    return InboundRequest(**(known | values))


class FakeCaller:
    """Keeps what it got, in order, in a list it shares with the ledger."""

    def __init__(self, events: list[tuple[str, Any]]) -> None:
        self.events = events
        self.left = self.started = False
        self.waited_ns = 0

    def watch(self) -> None:
        pass

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        self.events.append(("start", (status, dict(headers))))

    async def write(self, chunk: bytes) -> None:
        self.events.append(("write", chunk))

    async def end(self, chunk: bytes = b"") -> None:
        self.events.append(("end", chunk))


class FakeLedger:
    """Takes rows; `slow` leaves them unconfirmed."""

    def __init__(self, events: list[tuple[str, Any]]) -> None:
        self.events = events
        self.slow = False
        self.futures: list[asyncio.Future[None]] = []

    def begin(self, started: object) -> "asyncio.Future[None] | None":
        self.events.append(("begin", started))
        return None

    def hand_over(self, entry: LedgerEntry) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        if not self.slow:
            future.set_result(None)
        self.events.append(("row", entry))
        return future


class FakeTeam:
    values = TeamValues()


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes | Exception]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class FakeProvider(httpx.AsyncBaseTransport):
    """Answers with these chunks, or fails before."""

    def __init__(self) -> None:
        self.headers = {"content-type": "application/json"}
        self.status = 200
        self.chunks: list[bytes | Exception] = []
        self.fails: Exception | None = None
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.fails is not None:
            raise self.fails
        request.extensions["on_sent"]()
        return httpx.Response(self.status, headers=self.headers, stream=_Chunks(self.chunks))
