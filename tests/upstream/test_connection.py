"""What one connection makes of whatever a provider can send: never a clean end that is none."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from app.upstream.connection import HIGH_WATER_BYTES, MAX_HEADER_BYTES, MAX_INFORMATIONAL
from tests.upstream.scripted import OK, Peer, always, answers, body_of, fetch, pool, provider, request, upload

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MIB = 1024 * 1024


async def answer_of(answer: bytes, method: str = "POST") -> tuple[int, bytes]:
    async with provider(answers(answer)) as upstream, pool() as transport:
        return await fetch(transport, upstream.url, method=method)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, (200, b"ok")),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.0 200 OK\r\n\r\nold", (200, b"old")),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold", (200, b"old")),
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", (200, b"abcde")),
        (CHUNKED + b"3\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n", (200, b"abc")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", (304, b"")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", (200, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok")),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK, (200, b"ok")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_INFORMATIONAL + OK, (200, b"ok")),
        (b"HTTP/1.1 599 \r\ncontent-length: 1\r\n\r\nx", (599, b"x")),
    ],
)
async def test_reads_every_framing(answer: bytes, expected: tuple[int, bytes]) -> None:
    assert await answer_of(answer) == expected


async def test_an_interim_answers_fields_are_not_the_answers() -> None:
    async with provider(answers(b"HTTP/1.1 103 Hints\r\nlink: </x>\r\n\r\n" + OK)) as upstream, pool() as transport:
        response = await transport.handle_async_request(request(upstream.url))
        assert response.headers.raw == [(b"content-length", b"2")]
        await body_of(response)


@pytest.mark.parametrize("framing", [b"content-length: 5", b"transfer-encoding: chunked", b"x: y"])
async def test_the_answer_to_head_has_no_body(framing: bytes) -> None:
    assert await answer_of(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", "HEAD") == (200, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x00",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INFORMATIONAL + 1) + OK,
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (MAX_HEADER_BYTES + 1) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (MAX_HEADER_BYTES // 6 + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n bad: folding\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_before_any_status(answer: bytes) -> None:
    async with provider(answers(answer)) as upstream, pool() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(request(upstream.url))
        assert transport.counts == (0, 0)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nx: y\r\n", b"HTTP/1.1 100 C\r\n\r\n"])
async def test_a_connection_closed_before_the_head_is_a_read_error(answer: bytes) -> None:
    with pytest.raises(httpx.ReadError):
        await answer_of(answer)


WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n" + b"x" * 20,
    "chunked": CHUNKED + b"a\r\n0123456789\r\n5;ext=1\r\nabcde\r\n0\r\nt: 1\r\n\r\n",
}


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("framing", WHOLE)
async def test_no_answer_cut_anywhere_has_a_clean_end(framing: str, how: str) -> None:
    """Fault list F5 and F6: every byte position of an answer."""
    whole, clean = WHOLE[framing], []
    cuts = iter(range(len(whole)))

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(whole[: next(cuts)])
        if how == "reset":
            await asyncio.sleep(0.002)
            peer.reset()

    async with provider(script) as upstream, pool() as transport:
        for cut in range(len(whole)):
            try:
                clean.append((cut, await fetch(transport, upstream.url)))
            except httpx.ReadError:
                continue
    assert clean == []


async def test_a_reset_is_no_clean_end_of_a_body_that_lasts_until_the_close() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome of it")
        await asyncio.sleep(0.05)
        peer.reset()

    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(httpx.ReadError):
            await fetch(transport, upstream.url)


async def test_closing_the_transport_is_no_clean_end_of_a_body_that_lasts_until_the_close() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nsome of it")
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        response = await transport.handle_async_request(request(upstream.url))
        reading = asyncio.ensure_future(body_of(response))
        await asyncio.sleep(0.05)
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await reading


@pytest.mark.parametrize("size", [b"zz", b"-1", b"", b"10000000000000000000", b"0x5"])
async def test_a_bad_chunk_size_breaks_the_body_after_what_came_before(size: bytes) -> None:
    async with provider(answers(CHUNKED + b"3\r\nabc\r\n" + size + b"\r\nrest")) as upstream, pool() as transport:
        response = await transport.handle_async_request(request(upstream.url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        assert await anext(chunks) == b"abc"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)


@pytest.mark.parametrize(
    "rest", [b"1;" + b"e" * (2 * MIB), b"0\r\nt: " + b"e" * (2 * MIB), b"0\r\n" + b"t: 1\r\n" * MIB]
)
async def test_extensions_and_trailers_do_not_grow_without_end(rest: bytes) -> None:
    async with provider(answers(CHUNKED + rest)) as upstream, pool() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await fetch(transport, upstream.url)


async def test_an_endless_head_is_cut_off() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        while not peer.writer.is_closing():
            peer.send(b"x-more: " + b"y" * 65536 + b"\r\n")
            await peer.writer.drain()

    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(httpx.RemoteProtocolError, match="too large"):
            await transport.handle_async_request(request(upstream.url))


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("surplus", [b"HTTP/1.1 500 EVIL\r\nx-evil: 1\r\ncontent-length: 4\r\n\r\nevil", b"zzz"])
async def test_bytes_beyond_an_answer_reach_nobody(surplus: bytes, later: bool) -> None:
    """Threat T36: the answer before them is unharmed, and the next request has a connection of its own."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK if later else OK + surplus)
        if later:
            await asyncio.sleep(0.02)
            peer.send(surplus)
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        for _ in range(3):
            response = await transport.handle_async_request(request(upstream.url))
            assert (response.status_code, response.headers.raw) == (200, [(b"content-length", b"2")])
            assert await body_of(response) == b"ok"
            await asyncio.sleep(0.05)
        assert len(upstream.peers) == 3


async def test_surplus_bytes_do_not_replace_an_answer_that_is_still_to_be_read() -> None:
    """Answer and surplus come in one packet, before anyone has looked at the first head."""
    evil = b"HTTP/1.1 500 EVIL\r\nx-evil: 1\r\ncontent-length: 4\r\n\r\nevil"
    assert await answer_of(OK + evil) == (200, b"ok")


async def test_no_answer_in_time_is_a_read_timeout_and_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        before = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, upstream.url, first_byte=0.2)
        assert 0.19 < time.monotonic() - before < 0.6
        await upstream.peers[0].closed.wait()
        assert upstream.peers[0].closed_at - before < 0.6


async def test_interim_answers_do_not_prolong_the_wait_for_the_first_byte() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for _ in range(20):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.05)

    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, upstream.url, first_byte=0.2)


async def test_a_pause_in_the_body_is_a_read_timeout_and_progress_is_none() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.1)
            peer.send(b"x")
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        before = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, upstream.url, read=0.25)
        assert 1.0 < time.monotonic() - before < 1.6


async def test_a_slow_reader_is_not_taken_for_a_provider_that_pauses_and_buffers_little() -> None:
    total = 16 * MIB
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            peer.send(b"x" * 65536)
            await peer.writer.drain()
            sent += 65536

    async with provider(script) as upstream, pool() as transport:
        response = await transport.handle_async_request(request(upstream.url, read=0.1))
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        chunks = aiter(stream)
        largest = len(first := await anext(chunks))
        await asyncio.sleep(0.5)
        assert sent < total
        got = len(first)
        while chunk := await anext(chunks, b""):
            largest = max(largest, len(chunk))
            got += len(chunk)
        assert got == total
        # What is held is the high-water mark and one read of the event loop (256 KiB) at most.
        assert largest <= HIGH_WATER_BYTES + 256 * 1024


async def test_a_provider_that_takes_no_bytes_holds_the_writer_back() -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(0.3)
        _, body = await peer.request()
        peer.send(OK if len(body) == 8 * MIB else b"HTTP/1.1 400 short\r\n\r\n")

    async with provider(script) as upstream, pool() as transport:
        assert await fetch(transport, upstream.url, body=b"x" * (8 * MIB)) == (200, b"ok")


async def test_a_provider_that_answers_nothing_to_a_large_body_ends_in_a_timeout() -> None:
    async def script(peer: Peer) -> None:
        await asyncio.sleep(5)

    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(httpx.ReadTimeout):
            await fetch(transport, upstream.url, body=b"x" * (8 * MIB), first_byte=0.3)


async def test_a_long_upload_that_makes_progress_is_not_cut_off() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"0\r\n\r\n")
        peer.send(OK)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x"
            await asyncio.sleep(0.1)

    async with provider(script) as upstream, pool() as transport:
        sent = upload(upstream.url, slow())
        sent.extensions["timeout"]["first_byte"] = 0.4
        assert await body_of(await transport.handle_async_request(sent)) == b"ok"


async def test_an_answer_during_a_large_body_is_read_and_the_connection_not_used_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read(10)
        peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await asyncio.sleep(1)

    async with provider(script) as upstream, pool() as transport:
        assert await fetch(transport, upstream.url, body=b"x" * (8 * MIB)) == (413, b"big")
        assert transport.counts == (0, 0)


async def test_a_connection_is_used_again_only_where_both_sides_allow_it() -> None:
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    for answer, connections in ((OK, 1), (closing, 3), (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 3)):
        async with provider(always(answer)) as upstream, pool() as transport:
            for _ in range(3):
                assert await fetch(transport, upstream.url) == (200, b"ok")
            assert len(upstream.peers) == connections, answer
