"""The pool: no answer reaches the wrong caller, nothing stays open, nothing is sent twice."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from app.upstream.exchange import Call, place_of
from app.upstream.transport import PooledTransport
from tests.upstream.scripted import (
    OK,
    TIMEOUTS,
    Peer,
    Provider,
    always,
    answers,
    body_of,
    fetch,
    open_sockets,
    pool,
    provider,
    request,
    upload,
)

pytestmark = pytest.mark.anyio

CLOSED_WITHIN_S = 0.25


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with provider(always()) as upstream, pool() as transport:
        for _ in range(50):
            assert await fetch(transport, upstream.url) == (200, b"ok")
        assert (len(upstream.peers), transport.counts) == (1, (1, 1))


async def test_as_many_connections_as_requests_at_once() -> None:
    async with provider(always()) as upstream, pool() as transport:
        for _ in range(3):
            got = await asyncio.gather(*(fetch(transport, upstream.url) for _ in range(150)))
            assert got == [(200, b"ok")] * 150
        assert len(upstream.peers) == 150


async def test_origins_do_not_share_connections() -> None:
    async with provider(always()) as one, provider(always()) as other, pool() as transport:
        await fetch(transport, one.url)
        await fetch(transport, other.url)
        assert (len(one.peers), len(other.peers)) == (1, 1)


async def test_the_request_on_the_wire() -> None:
    async with provider(always()) as upstream, pool() as transport:
        await fetch(transport, f"{upstream.url}/v1/x?a=%2F&b", body=b'{"a":1}')
        assert bytes(upstream.peers[0].received) == (
            b"POST /v1/x?a=%2F&b HTTP/1.1\r\n"
            + f"host: 127.0.0.1:{upstream.port}\r\n".encode()
            + b'content-length: 7\r\n\r\n{"a":1}'
        )


async def test_on_sent_is_called_once_and_only_where_a_byte_may_leave() -> None:
    called: list[str] = []
    async with provider(always()) as upstream, pool() as transport:
        sent = request(upstream.url)
        sent.extensions["on_sent"] = lambda: called.append("sent")
        await body_of(await transport.handle_async_request(sent))
        assert called == ["sent"]
        refused = request("http://127.0.0.1:1")
        refused.extensions["on_sent"] = lambda: called.append("refused")
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(refused)
        assert called == ["sent"]


async def test_a_redirect_is_an_answer_like_any_other_and_no_cookie_is_kept() -> None:
    """Threats T32 and T35."""
    moved = b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with provider(always(moved)) as upstream, pool() as transport:
        for _ in range(2):
            assert await fetch(transport, upstream.url) == (307, b"")
        assert b"cookie" not in upstream.peers[0].received


@pytest.mark.parametrize("length", [None, 300_000])
async def test_streamed_uploads_with_and_without_a_length(length: int | None) -> None:
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            while length is None and not body.endswith(b"0\r\n\r\n"):
                body += await peer.read()
            bodies.append(body)
            peer.send(OK)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x" * 100_000

    async with provider(script) as upstream, pool() as transport:
        for _ in range(2):
            response = await transport.handle_async_request(upload(upstream.url, pieces(), length))
            assert await body_of(response) == b"ok"
        assert len(upstream.peers) == 1
    piece = b"x" * 100_000
    whole = piece * 3 if length else (b"186a0\r\n" + piece + b"\r\n") * 3 + b"0\r\n\r\n"
    assert bodies == [whole, whole]


async def test_an_answer_before_the_end_of_the_upload_stops_it() -> None:
    taken = 0

    async def script(peer: Peer) -> None:
        await peer.read(10)
        peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await asyncio.sleep(2)

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 65536
            await asyncio.sleep(0)

    async with provider(script) as upstream, pool() as transport:
        response = await transport.handle_async_request(upload(upstream.url, endless()))
        assert (response.status_code, await body_of(response)) == (413, b"big")
        assert transport.counts == (0, 0)
    assert taken < 1000


async def test_a_fault_of_the_uploading_client_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async def breaking() -> AsyncIterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async with provider(script) as upstream, pool() as transport:
        with pytest.raises(ZeroDivisionError):
            await transport.handle_async_request(upload(upstream.url, breaking()))
        await upstream.peers[0].closed.wait()
        assert not upstream.peers[0].received.endswith(b"0\r\n\r\n")


PHASES = ("before the head", "after the head", "in the body", "during the upload")


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancelled_request_closes_its_connection_at_once(phase: str) -> None:
    """Fault list F9: the provider sees the end within 250 ms."""

    async def script(peer: Peer) -> None:
        await peer.read()
        if phase in ("after the head", "in the body"):
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        if phase == "in the body":
            peer.send(b"2\r\nok\r\n")
        await peer.gone()

    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def exchange(transport: PooledTransport, url: str) -> None:
        sent = upload(url, slow()) if phase == "during the upload" else request(url)
        await body_of(await transport.handle_async_request(sent))

    waits: list[float] = []
    async with provider(script) as upstream, pool() as transport:
        for number in range(10):
            task = asyncio.ensure_future(exchange(transport, upstream.url))
            await asyncio.sleep(0.03)
            cancelled_at = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(upstream.peers[number].closed.wait(), 2)
            waits.append(upstream.peers[number].closed_at - cancelled_at)
        assert transport.counts == (0, 0)
    assert statistics.median(waits) < CLOSED_WITHIN_S


async def test_closing_a_stream_early_closes_its_connection_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        response = await transport.handle_async_request(request(upstream.url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert await anext(aiter(response.stream)) == b"ab"
        before = time.monotonic()
        await response.stream.aclose()
        await asyncio.wait_for(upstream.peers[0].closed.wait(), 2)
        assert upstream.peers[0].closed_at - before < CLOSED_WITHIN_S
        assert [chunk async for chunk in response.stream] == []


@pytest.mark.parametrize(
    ("rest", "known"),
    [
        (b"content-length: 2\r\n\r\nok", True),
        (b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"content-length: 3\r\n\r\nok", False),
        (b"\r\nok", False),
    ],
)
async def test_an_answer_knows_what_has_come_and_whether_that_is_all(rest: bytes, known: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n" + rest)
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        place = place_of(upstream.url)
        exchange = await transport.exchange(Call("POST", place, [], b"", None, TIMEOUTS, lambda: None))
        assert (exchange.waiting, exchange.ended) == (True, False)
        assert await exchange.read() == b"ok"
        assert (exchange.waiting, exchange.ended) == (False, known)
        await exchange.aclose()
        assert transport.counts == ((1, 1) if known else (0, 0))


async def nonce_echo(peer: Peer) -> None:
    """Answers with the request's own body, in pieces, sometimes late."""
    while True:
        _, body = await peer.request()
        if random.random() < 0.3:
            await asyncio.sleep(random.random() * 0.01)
        if random.random() < 0.5:
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            peer.send(body[:10])
            if random.random() < 0.3:
                await asyncio.sleep(0.002)
            peer.send(body[10:])
        else:
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            peer.send(b"%x\r\n%b\r\n" % (len(body), body))
            if random.random() < 0.3:
                await asyncio.sleep(0.002)
            peer.send(b"0\r\n\r\n")


async def test_ten_thousand_requests_two_in_five_cancelled_no_answer_crosses() -> None:
    """Threat T36."""
    random.seed(20261122)
    sockets = open_sockets()
    right = wrong = cancelled = failed = 0

    async def one(transport: PooledTransport, upstream: Provider, number: int) -> None:
        nonlocal right, wrong, failed
        nonce = b"%06d-%016x" % (number, random.getrandbits(64))
        try:
            _, body = await fetch(transport, upstream.url, body=nonce)
        except httpx.HTTPError:
            failed += 1
            return
        if body == nonce:
            right += 1
        else:
            wrong += 1

    async with provider(nonce_echo) as upstream, pool() as transport:
        numbers = iter(range(10_000))

        async def worker() -> None:
            nonlocal cancelled
            for number in numbers:
                task = asyncio.ensure_future(one(transport, upstream, number))
                if random.random() < 0.4:
                    await asyncio.wait((task,), timeout=random.random() * 0.004)
                    task.cancel()
                    cancelled += not task.done()
                await asyncio.wait((task,))

        await asyncio.gather(*(worker() for _ in range(48)))
    assert (wrong, failed) == (0, 0)
    assert right + cancelled >= 10_000
    assert cancelled > 1000
    await asyncio.sleep(0.1)
    assert open_sockets() <= sockets


async def test_a_provider_that_closes_after_each_answer_gets_nothing_twice() -> None:
    """Fault list F32: 0 to 50 ms after each answer. The race can lose a request; it is never sent again."""
    random.seed(32)
    seen: list[bytes] = []
    answered = lost = 0

    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        seen.append(body)
        peer.send(OK)
        await asyncio.sleep(random.randrange(51) / 1000)

    async def caller(transport: PooledTransport, upstream: Provider, name: int) -> None:
        nonlocal answered, lost
        for number in range(50):
            try:
                assert await fetch(transport, upstream.url, body=b"%d-%d" % (name, number)) == (200, b"ok")
                answered += 1
            except httpx.ReadError:
                lost += 1
            await asyncio.sleep(random.random() * 0.05)

    async with provider(script) as upstream, pool() as transport:
        await asyncio.gather(*(caller(transport, upstream, name) for name in range(20)))
    print(f"lost to the race: {lost} of 1000")
    assert answered + lost == 1000
    assert len(seen) == len(set(seen))
    assert answered == len(seen)


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    async with provider(answers(OK)) as upstream, pool() as transport:
        for _ in range(20):
            assert await fetch(transport, upstream.url) == (200, b"ok")
            await asyncio.sleep(0.02)
        assert len(upstream.peers) == 20


async def test_idle_connections_are_closed_after_a_while_and_the_timer_ends_with_them() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.gone()

    async with provider(script) as upstream, pool(keepalive_s=0.2) as transport:
        await asyncio.gather(*(fetch(transport, upstream.url) for _ in range(5)))
        assert transport.counts == (5, 5)
        await asyncio.gather(*(asyncio.wait_for(peer.closed.wait(), 2) for peer in upstream.peers))
        assert transport.counts == (0, 0)
        assert transport._sweeper is None


async def test_a_busy_connection_is_not_swept() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.request()
        await asyncio.sleep(0.5)
        peer.send(OK)
        await peer.gone()

    async with provider(script) as upstream, pool(keepalive_s=0.1) as transport:
        await fetch(transport, upstream.url)
        assert await fetch(transport, upstream.url) == (200, b"ok")
        assert len(upstream.peers) == 1


async def test_closing_the_transport_ends_requests_in_flight() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with provider(script) as upstream, pool() as transport:
        task = asyncio.ensure_future(fetch(transport, upstream.url))
        await asyncio.sleep(0.05)
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await task


async def test_no_descriptor_is_left_whatever_happened() -> None:
    before = open_sockets()
    for script in (always(), answers(b"garbage\r\n\r\n"), answers(b""), answers(b"HTTP/1.1 200 OK\r\n\r\nx")):
        async with provider(script) as upstream, pool() as transport:
            await asyncio.gather(*(fetch(transport, upstream.url) for _ in range(20)), return_exceptions=True)
    async with pool() as transport:
        await asyncio.gather(*(fetch(transport, "http://127.0.0.1:1") for _ in range(20)), return_exceptions=True)
    await asyncio.sleep(0.1)
    assert open_sockets() <= before
