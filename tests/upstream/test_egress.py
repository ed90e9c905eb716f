"""Only checked addresses are connected to, and only providers that prove who they are get a byte."""

import asyncio
import ipaddress
import itertools
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.upstream import egress
from app.upstream.connection import Connection
from app.upstream.transport import PooledTransport
from tests.upstream.certificates import Certificates
from tests.upstream.scripted import OK, Peer, always, fetch, open_sockets, pool, provider

pytestmark = pytest.mark.anyio

HOST = "provider.test"


def resolving(*addresses: str) -> egress.Resolve:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "168.63.129.16",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "", "localhost", "1", "0x7f.1", "127.1", "not an address",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not egress.is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "104.18.6.192", "2606:4700::6812:6c0", "64:ff9b::101:101"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert egress.is_public(address)


class Sockets:
    """Every address that a connection was tried to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried: list[str] = []

        async def create_connection(factory: object, host: str, port: int, **_: object) -> tuple[object, object]:
            self.tried.append(host)
            return object(), Connection(asyncio.get_running_loop())

        class Loop:
            """Stands for the running loop inside egress only: uvloop's own cannot be patched."""

            def __getattr__(self, name: str) -> object:
                return create_connection if name == "create_connection" else getattr(asyncio.get_event_loop(), name)

        class Asyncio:
            timeout = staticmethod(asyncio.timeout)

            @staticmethod
            def get_running_loop() -> Loop:
                return Loop()

        monkeypatch.setattr(egress, "asyncio", Asyncio)


async def connect(resolver: egress.Resolve, *, allow_private: bool = False) -> Connection:
    loop = asyncio.get_running_loop()
    context = egress.make_tls_context()
    return await egress.connect(
        lambda: Connection(loop), HOST, 443, context, allow_private=allow_private, resolver=resolver
    )


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("10.0.0.1", "::1"), ("169.254.169.254",), ()])
async def test_a_name_that_resolves_to_private_addresses_is_not_connected_to(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = Sockets(monkeypatch)
    with pytest.raises(httpx.ConnectError, match="no public address"):
        await connect(resolving(*addresses))
    assert sockets.tried == []


async def test_of_mixed_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Sockets(monkeypatch)
    await connect(resolving("127.0.0.1", "10.1.1.1", "1.1.1.1", "::1"))
    assert sockets.tried == ["1.1.1.1"]


async def test_a_thousand_connects_to_a_name_that_rebinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat T7: public and private in turn; each connect is judged by the address it will use."""
    sockets = Sockets(monkeypatch)
    turns = itertools.cycle((["1.1.1.1"], ["127.0.0.1"]))

    async def resolve(host: str, port: int) -> list[str]:
        return next(turns)

    context = egress.make_tls_context()
    monkeypatch.setattr(egress, "make_tls_context", lambda: context)
    refused = 0
    for _ in range(1000):
        try:
            await connect(resolve)
        except httpx.ConnectError:
            refused += 1
    assert (refused, set(sockets.tried)) == (500, {"1.1.1.1"})


async def test_a_literal_private_address_is_refused_and_allowed_when_set() -> None:
    async with provider(always()) as upstream:
        secure = f"https://127.0.0.1:{upstream.port}"
        async with pool(allow_private=False) as transport:
            for url in (secure, f"http://127.0.0.1:{upstream.port}", "https://[::1]:1", "https://169.254.169.254"):
                with pytest.raises(httpx.ConnectError):
                    await fetch(transport, url)
        assert upstream.peers == []
        async with pool() as transport:
            assert await fetch(transport, upstream.url) == (200, b"ok")


async def test_nothing_goes_out_in_the_clear_unless_private_upstreams_are_allowed() -> None:
    async with pool(allow_private=False, resolver=resolving("1.1.1.1")) as transport:
        with pytest.raises(httpx.ConnectError, match="http://"):
            await fetch(transport, f"http://{HOST}")


async def test_a_refused_connection_is_a_connect_error_at_once() -> None:
    before = time.monotonic()
    async with pool() as transport:
        with pytest.raises(httpx.ConnectError):
            await fetch(transport, "http://127.0.0.1:1")
    assert time.monotonic() - before < 0.1


async def test_a_name_without_address_is_a_connect_error() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async with pool(resolver=nowhere) as transport:
        with pytest.raises(httpx.ConnectError, match="no address"):
            await fetch(transport, f"http://{HOST}")


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..b"])
async def test_what_can_be_no_name_is_a_connect_error(name: str) -> None:
    with pytest.raises(httpx.ConnectError):
        await egress.connect(lambda: Connection(asyncio.get_running_loop()), name, 80, None, allow_private=True)


async def test_a_slow_resolver_ends_at_the_connect_limit_and_holds_nobody_up() -> None:
    async def slow(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return ["127.0.0.1"]

    before = time.monotonic()
    async with pool(resolver=slow) as transport:
        with pytest.raises(httpx.ConnectTimeout):
            await fetch(transport, f"http://{HOST}", connect=0.2)
    assert 0.19 < time.monotonic() - before < 0.5


async def test_a_blackholed_connect_ends_at_the_connect_limit() -> None:
    """A listener whose queue is full drops what comes."""
    fillers: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        before, sockets = time.monotonic(), open_sockets()
        async with pool() as transport:
            with pytest.raises(httpx.ConnectTimeout):
                await fetch(transport, f"http://127.0.0.1:{listener.getsockname()[1]}", connect=0.3)
        assert 0.29 < time.monotonic() - before < 0.8
        await asyncio.sleep(0.05)
        assert open_sockets() <= sockets
    for filler in fillers:
        filler.close()


async def test_the_next_address_is_tried_where_one_refuses() -> None:
    async with provider(always()) as upstream, pool(resolver=resolving("127.0.0.2", "127.0.0.1")) as transport:
        assert await fetch(transport, f"http://{HOST}:{upstream.port}") == (200, b"ok")


async def test_a_cancelled_connect_leaves_no_socket() -> None:
    before = open_sockets()
    async with provider(always()) as upstream, pool() as transport:
        for delay in (0, 0, 0.0002, 0.0005, 0.001, 0.002):
            task = asyncio.ensure_future(fetch(transport, upstream.url))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait((task,))
    await asyncio.sleep(0.05)
    assert open_sockets() <= before


@pytest.fixture(scope="module")
def certificates(require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(require_tool("openssl"), tmp_path_factory.mktemp("certificates"))


def serving(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def trusting(authority: Path) -> ssl.SSLContext:
    context = egress.make_tls_context()
    context.load_verify_locations(authority)
    return context


def trusting_pool(certificates: Certificates) -> PooledTransport:
    return PooledTransport(allow_private=True, tls=trusting(certificates.authority), resolver=resolving("127.0.0.1"))


async def test_tls_with_a_certificate_of_a_trusted_authority(certificates: Certificates) -> None:
    async with provider(always(), tls=serving(certificates.leaf("good", HOST))) as upstream:
        transport = trusting_pool(certificates)
        for _ in range(3):
            assert await fetch(transport, f"https://{HOST}:{upstream.port}") == (200, b"ok")
        assert len(upstream.peers) == 1
        await transport.aclose()


@pytest.mark.parametrize("fault", ["wrong host", "expired", "self-signed", "unknown authority"])
async def test_a_wrong_certificate_is_a_connect_error_and_gets_no_byte(certificates: Certificates, fault: str) -> None:
    """Threat T34."""
    files = {
        "wrong host": lambda: certificates.leaf("other", "other.test"),
        "expired": lambda: certificates.leaf("expired", HOST, expired=True),
        "self-signed": lambda: certificates.self_signed(HOST),
        "unknown authority": lambda: certificates.leaf("good2", HOST),
    }[fault]()
    seen = bytearray()

    async def script(peer: Peer) -> None:
        seen.extend(await peer.read())
        peer.send(OK)

    before = open_sockets()
    async with provider(script, tls=serving(files)) as upstream:
        transport = trusting_pool(certificates)
        if fault == "unknown authority":
            transport = PooledTransport(allow_private=True, resolver=resolving("127.0.0.1"))
        with pytest.raises(httpx.ConnectError):
            await fetch(transport, f"https://{HOST}:{upstream.port}")
        await asyncio.sleep(0.05)
        assert transport.counts == (0, 0)
        await transport.aclose()
    assert seen == b""
    assert open_sockets() <= before


async def test_old_tls_is_refused(certificates: Certificates) -> None:
    assert egress.make_tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    context = egress.make_tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_what_speaks_no_tls_is_a_connect_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.read()
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with provider(script) as upstream:
        transport = PooledTransport(allow_private=True, resolver=resolving("127.0.0.1"))
        with pytest.raises(httpx.ConnectError):
            await fetch(transport, f"https://{HOST}:{upstream.port}", connect=1.0)
        await transport.aclose()


async def test_the_resolver_gives_each_address_once() -> None:
    found = await egress.resolve("localhost", 80)
    assert found
    assert len(found) == len(set(found))
    assert all(ipaddress.ip_address(each).is_loopback for each in found)
    assert await egress.resolve("1.2.3.4", 80) == ["1.2.3.4"]
