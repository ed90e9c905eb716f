"""A client of HTTP/1.0 (nginx is one, unless told otherwise) knows no chunks: its answers end with the connection."""

from collections.abc import Awaitable, Callable

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Call, Provider, chat_events
from tests.running import Lectr, Raw

EVENTS = chat_events("Good", " day", usage=True)


async def whole(call: Call) -> None:
    await call.whole(200, b'{"id":"x"}', ("content-type", "application/json"))


async def without_length(call: Call) -> None:
    await call.head(200, ("content-type", "application/json"), ("transfer-encoding", "chunked"))
    await call.chunk(b'{"id":')
    await call.chunk(b'"x"}')
    await call.end()


async def events(call: Call) -> None:
    await call.stream()
    for event in EVENTS:
        await call.chunk(event)
    await call.end()


@pytest.mark.parametrize(
    ("play", "body"),
    [(whole, b'{"id":"x"}'), (without_length, b'{"id":"x"}'), (events, b"".join(EVENTS))],
    ids=["with a length", "without a length", "stream"],
)
def test_a_client_of_http_1_0_gets_the_bytes_and_no_chunks(
    lectr: Lectr, provider: Provider, play: Callable[[Call], Awaitable[None]], body: bytes
) -> None:
    asked = asking(stream=True, stream_options={"include_usage": True}) if play is events else asking()
    sent = lectr.raw("/v1/chat/completions", asked, provider.plays_as(play))
    with Raw(lectr.port) as raw:
        raw.send(sent.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\nConnection: keep-alive\r\n", 1))
        head, _, found = raw.read_all().partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert found == body


def test_a_client_of_http_1_0_is_not_told_to_go_on(lectr: Lectr, provider: Provider) -> None:
    sent = lectr.raw("/v1/chat/completions", asking(), provider.plays_as(whole))
    with Raw(lectr.port) as raw:
        raw.send(sent.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\nExpect: 100-continue\r\n", 1))
        assert raw.read_all().startswith(b"HTTP/1.1 200 ")
