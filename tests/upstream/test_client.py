"""The seam: one request out, one answer back, and every fault of the transport as Lectr's own error."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app.domain import Target
from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError
from app.settings import Settings
from app.upstream.client import Answer, UpstreamClient
from app.upstream.exchange import place_of
from tests.upstream.scripted import Peer, answers, pool, provider

pytestmark = pytest.mark.anyio

SETTINGS = Settings.from_env({"LECTR_DATA_DIR": "/nowhere", "LECTR_FIRST_BYTE_TIMEOUT_S": "1"})


def to(url: str, body: bytes = b"{}") -> Target:
    headers = [(b"host", b"h"), (b"content-length", b"%d" % len(body))]
    return Target("openai", "openai-chat", url, headers, body)


async def send(transport: httpx.AsyncBaseTransport, url: str, on_sent: Callable[[], None] = lambda: None) -> Answer:
    return await UpstreamClient(transport, SETTINGS).send(to(url), "POST", "OpenAI", on_sent)


async def test_status_fields_and_body_come_as_they_were() -> None:
    answer = (
        b"HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\nX-Request-Id: req_9\r\nX-A: 1\r\nX-A: 2\r\n"
        b"Content-Length: 4\r\n\r\nbusy"
    )
    async with provider(answers(answer)) as upstream, pool() as transport:
        got = await send(transport, upstream.url)
        assert (got.status, got.content_length, got.request_id) == (429, 4, "req_9")
        assert got.headers == [
            (b"content-type", b"application/json"),
            (b"x-request-id", b"req_9"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
            (b"content-length", b"4"),
        ]
        assert got.header(b"x-a") == b"1"
        assert got.header(b"x-none") is None
        assert [await got.read(), await got.read(), await got.read()] == [b"busy", b"", b""]
        await got.close()


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"9" * 19])
async def test_a_length_that_is_none_is_none(length: bytes) -> None:
    class Odd(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers=[(b"Content-Length", length)], stream=_Nothing())

    assert (await send(Odd(), "http://h")).content_length is None


class _Nothing(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ProviderReset),
        (b"garbage\r\n\r\n", ProviderBadResponse),
        (b"HTTP/1.1 700 Odd\r\ncontent-length: 0\r\n\r\n", ProviderBadResponse),
        (b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", ProviderBadResponse),
    ],
)
async def test_what_comes_instead_of_an_answer(answer: bytes, error: type[UpstreamError]) -> None:
    async with provider(answers(answer)) as upstream, pool() as transport:
        with pytest.raises(error) as caught:
            await send(transport, upstream.url)
        assert caught.value.sent is True
        opened, idle = transport.counts
        assert opened == idle


async def test_no_connection_means_nothing_was_sent() -> None:
    called: list[bool] = []
    async with pool() as transport:
        with pytest.raises(ProviderUnreachable) as caught:
            await send(transport, "http://127.0.0.1:1", lambda: called.append(True))
    assert caught.value.sent is False
    assert called == []


async def test_no_answer_in_time() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    called: list[bool] = []
    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(ProviderTimeout) as caught:
            await send(transport, upstream.url, lambda: called.append(True))
    assert caught.value.sent is True
    assert called


async def test_a_body_that_breaks_off_says_so_after_what_came() -> None:
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
    async with provider(answers(cut)) as upstream, pool() as transport:
        got = await send(transport, upstream.url)
        assert await got.read() == b"half"
        with pytest.raises(ProviderReset):
            await got.read()


async def test_an_answer_that_is_closed_early_gives_its_connection_up() -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(half)
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        got = await send(transport, upstream.url)
        await got.close()
        assert transport.counts == (0, 0)


def test_urls_are_parsed_once_and_long_ones_are_not_kept() -> None:
    assert place_of("http://h/a") is place_of("http://h/a")
    long = "http://h/" + "a" * 600
    assert place_of(long) is not place_of(long)
    assert place_of("https://api.test/v1").host == b"api.test"
    assert place_of("https://api.test:443/v1").host == b"api.test"
    assert place_of("http://127.0.0.1:8000/v1").host == b"127.0.0.1:8000"
    assert place_of("http://[::1]:8000/v1").host == b"[::1]:8000"


async def test_an_empty_chunk_of_another_transport_is_not_the_end() -> None:
    class Halting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=_Pieces())

    answer = await send(Halting(), "http://h")
    assert [await answer.read(), await answer.read(), await answer.read()] == [b"one", b"two", b""]


class _Pieces(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in (b"one", b"", b"two"):
            yield piece
