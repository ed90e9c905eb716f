"""Threats 6, 7 and 32: no spelling of an address, no name that changes its mind and no redirect leads inwards."""

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest

from app.console.providers import checked_endpoint
from app.errors import ConflictError, SettingsError
from app.settings import Settings
from app.upstream import egress
from app.upstream.transport import PooledTransport
from tests.security.corpus import PRIVATE_V4, hostile_endpoints, spellings
from tests.upstream.scripted import always, fetch, provider

GOOD = (
    "https://name.openai.azure.com",
    "https://name.openai.azure.us",
    "https://NAME.cognitiveservices.azure.com/",
    "https://name.openai.azure.com:443/openai/v1",
    "https://gateway.example.co.uk/ai",
    "https://xn--bcher-kva.example",
    "https://9to5.example.com",
)


def accepted(endpoint: str) -> str | None:
    try:
        return checked_endpoint(endpoint, allow_private=False) or None
    except ConflictError:
        return None


def test_t06_no_spelling_of_a_private_endpoint_is_accepted() -> None:
    tried = list(hostile_endpoints())
    assert len(tried) > 5000
    assert [endpoint for endpoint in tried if accepted(endpoint)] == []


@pytest.mark.parametrize("endpoint", GOOD)
def test_a_public_endpoint_is_accepted(endpoint: str) -> None:
    kept = accepted(endpoint)
    assert kept is not None
    assert httpx.URL(kept).host == httpx.URL(endpoint).host


def hosts() -> Iterator[str]:
    for address in PRIVATE_V4:
        for host in spellings(address):
            if host.isascii() and not set(host) & set(" @#\\\t%"):
                yield host


@pytest.mark.anyio
async def test_t06_no_spelling_of_a_private_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    async def create_connection(*arguments: object, **_: object) -> None:
        opened.append(arguments)
        raise OSError("the test lets nobody out")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_connection", create_connection)

    async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        # inet_aton reads what the C library's resolver reads; names that need DNS have no address here.
        try:
            address = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            raise socket.gaierror from None
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    context = egress.make_tls_context()
    tried = 0
    for host in hosts():
        tried += 1
        with pytest.raises(httpx.ConnectError):
            await egress.connect(asyncio.Protocol, host.strip("[]"), 443, context, allow_private=False)
    assert tried > 1000
    assert opened == []
    with pytest.raises(httpx.ConnectError):
        await egress.connect(asyncio.Protocol, "8.8.8.8", 443, context, allow_private=False)
    assert len(opened) == 1


@pytest.mark.parametrize(
    "address",
    [*PRIVATE_V4, "168.63.129.16", "::1", "::", "::127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
     "64:ff9b:1::1", "fec0::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1", "nonsense", ""],
)  # fmt: skip
def test_an_address_that_is_not_public(address: str) -> None:
    assert not egress.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "104.18.6.192", "2606:4700::6812:6c0", "64:ff9b::808:808"])
def test_an_address_that_is(address: str) -> None:
    assert egress.is_public(address)


@pytest.mark.anyio
async def test_t07_a_name_that_turns_private_reaches_nothing() -> None:
    """DNS rebinding: 1,000 connections, every other answer is this machine."""
    turns = 0

    async def rebinding(_host: str, _port: int) -> list[str]:
        nonlocal turns
        turns += 1
        # 192.0.2.0/24 answers nobody; it is refused as well, so nothing leaves this machine.
        return ["127.0.0.1"] if turns % 2 else ["192.0.2.1", "127.0.0.1", "::ffff:127.0.0.1"]

    async with provider(always()) as upstream:
        transport = PooledTransport(allow_private=False, resolver=rebinding)
        for _ in range(1000):
            with pytest.raises(httpx.ConnectError):
                await fetch(transport, f"https://name.openai.azure.com:{upstream.port}")
        await transport.aclose()
        assert (turns, upstream.peers) == (1000, [])


@pytest.mark.anyio
async def test_t34_no_key_goes_out_in_the_clear() -> None:
    async def public(_host: str, _port: int) -> list[str]:
        raise AssertionError("the name was looked up")

    transport = PooledTransport(allow_private=False, resolver=public)
    with pytest.raises(httpx.ConnectError, match="http://"):
        await fetch(transport, "http://api.openai.com")
    await transport.aclose()


@pytest.mark.parametrize(
    "url", ["https://", "https:///x", "https://a b", "ftp://a", "https://exämple.com", "http:///v"]
)
def test_a_base_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="LECTR_OPENAI_BASE_URL"):
        Settings.from_env({"LECTR_OPENAI_BASE_URL": url})
