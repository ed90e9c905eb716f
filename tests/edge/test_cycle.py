"""A connection of a client, on a transport that only remembers: what is written, in how many pieces, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from app.edge.client import WIRE
from app.edge.connection import ClientConnection
from app.edge.server import server_config
from app.settings import Settings

REQUEST = b"POST /v1/files?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = [(b"content-length", b"5")]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Remembering:
    """What uvicorn's protocol uses of an asyncio transport."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.paused = False

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Clock:
    """The running event loop with a time of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> object:
        self.due.append((self.now + delay_s, callback))
        return self.due[-1]

    def let_pass(self, seconds: float) -> None:
        end = self.now + seconds
        while (first := min(self.due, key=lambda each: each[0], default=(end + 1, print)))[0] <= end:
            self.due.remove(first)
            self.now = first[0]
            first[1]()
        self.now = end


def connected(app: App, **changed: Any) -> tuple[ClientConnection, Remembering]:
    """A connection to `app`, within a running event loop."""
    config = server_config(app, Settings())
    config.load()
    protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})  # type: ignore[call-arg]
    assert isinstance(protocol, ClientConnection)
    for name, value in changed.items():
        setattr(protocol, name, value)
    transport = Remembering()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    return protocol, transport


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def answer(send: Any, *parts: bytes, headers: Any = None) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": ANSWER if headers is None else headers})
    for number, part in enumerate(parts, 1):
        await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})


@pytest.mark.anyio
async def test_an_answer_leaves_in_one_piece() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"hello")

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    assert transport.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"]
    assert not protocol.tasks


@pytest.mark.anyio
async def test_a_header_does_not_wait_for_a_body_that_is_late() -> None:
    more = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, headers=())
        await more.wait()
        await send({"type": "http.response.body", "body": b"a" * 17, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body"})

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    assert transport.written == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
    more.set()
    await settle()
    assert b"".join(transport.written[1:]) == b"11\r\n" + b"a" * 17 + b"\r\n0\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "field",
    [
        *((b"x-a", b"b%cc" % code) for code in (*range(9), *range(10, 32), 127)),
        (b"x-a", b"b\r\nset-cookie: c"),
        (b"x-a", b"b\r\n"),
        *((b"x%ca" % code, b"b") for code in b"\r\n\0 :(\x7f"),
        (b"x" * 100 + b"\n", b"b"),
    ],
)
async def test_a_field_that_would_split_the_answer_makes_it_none(field: tuple[bytes, bytes]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"hello", headers=[*ANSWER, field])

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    [told] = transport.written
    assert told.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"x-a" not in told
    assert b"hello" not in told
    assert transport.closed


@pytest.mark.anyio
async def test_a_tab_splits_nothing() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"hello", headers=[*ANSWER, (b"X-A", b"b\tc\xe9")])

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    assert transport.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\tc\xe9\r\n\r\nhello"]


@pytest.mark.anyio
@pytest.mark.parametrize(("parts", "whole"), [((b"hello!",), 0), ((b"hell",), 1), ((b"hell", b"o!"), 1)])
async def test_a_body_that_is_not_as_long_as_it_says_ends_the_connection(parts: tuple[bytes, ...], whole: int) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, *parts)

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    assert transport.closed
    assert b"".join(transport.written).partition(b"\r\n\r\n")[2] == b"hell" * whole


@pytest.mark.anyio
async def test_pipelined_requests_are_answered_in_turn_and_rubbish_behind_them_is_no_answer() -> None:
    asked: list[bytes] = []
    more = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["query_string"] + (await receive())["body"])
        await more.wait()
        await answer(send, b"hello")

    protocol, transport = connected(app)
    protocol.data_received(REQUEST + REQUEST.replace(b"a=b", b"c=d"))
    await settle()
    assert (asked, transport.written) == ([b"a=b{}"], [])
    more.set()
    await settle()
    assert asked == [b"a=b{}", b"c=d{}"]
    assert b"".join(transport.written).count(b"HTTP/1.1 200 OK") == 2
    more.clear()
    # Half of a third request is there while the one before it is being answered.
    protocol.data_received(
        REQUEST + REQUEST[:-1].replace(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"zz\r\n"
    )
    await settle()
    assert b"".join(transport.written).count(b"HTTP/1.1 ") == 2
    assert transport.closed


@pytest.mark.anyio
async def test_an_idle_connection_is_closed_and_one_in_use_is_not() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"hello")

    clock = Clock()
    protocol, transport = connected(app, loop=clock, headers_s=500)
    for _ in range(4):
        protocol.data_received(REQUEST)
        await settle()
        clock.let_pass(50)
        assert not transport.closed
    assert len(clock.due) == 2, "one timer for idleness and one for reading, however many requests"
    protocol.data_received(REQUEST[:9])
    clock.let_pass(50)
    assert not transport.closed, "a request has begun: its own deadline counts"
    protocol.data_received(REQUEST[9:])
    await settle()
    clock.let_pass(74)
    assert not transport.closed
    clock.let_pass(2)
    assert transport.closed


@pytest.mark.anyio
@pytest.mark.parametrize("when", ["while it watches", "before it watches"])
async def test_a_hang_up_is_told_at_once(when: str) -> None:
    told = asyncio.Event()
    go = asyncio.Event()

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        wire = scope["extensions"][WIRE]
        assert wire.body_at_once() == b"{}"
        if when == "before it watches":
            await go.wait()
        wire.watch(told.set)
        await told.wait()

    protocol, transport = connected(app)
    protocol.data_received(REQUEST)
    await settle()
    protocol.connection_lost(None)
    go.set()
    await settle()
    assert told.is_set()
    assert transport.written == []


@pytest.mark.anyio
async def test_a_body_is_taken_at_once_only_when_it_is_whole() -> None:
    taken: list[bytes | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        wire = scope["extensions"][WIRE]
        taken.append(wire.body_at_once())
        first = await receive()
        taken.append(first["body"])
        while first["more_body"]:
            first = await receive()
            taken.append(first["body"])
        await answer(send, b"hello")

    protocol, transport = connected(app)
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
    await settle()
    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    protocol.data_received(b"ab")
    await settle()
    for piece in (b"c", b"d", b"ef"):
        protocol.data_received(piece)
    await settle()
    assert taken == [None, b"ab", b"cdef"]
    assert len(transport.written) == 2
