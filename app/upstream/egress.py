"""The one door outwards: names are resolved here, and only checked addresses are connected to.

A name that is public when it is saved and private when it is used (DNS rebinding) therefore reaches nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import certifi
import httpx

_PROBE_S = 2.0
_UNICAST_V6 = ipaddress.ip_network("2000::/3")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
"""What ipaddress takes for public, depending on its version: metadata services of Oracle's and Azure's clouds."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


def is_public(address: str) -> bool:
    """True for an address of the public internet; mapped and translated IPv4 is judged by what it carries."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if parsed in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        return parsed in _UNICAST_V6 and parsed.is_global
    if any(parsed in network for network in _NOT_PUBLIC):
        return False
    return parsed.is_global and not parsed.is_multicast


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, in the resolver's order. Raises OSError, UnicodeError for what can be no name."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def make_tls_context() -> ssl.SSLContext:
    """Verification always on; SSL_CERT_FILE in the environment adds a company's own authority."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(
    make_protocol: Callable[[], ProtocolT],
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    *,
    allow_private: bool,
    resolver: Resolve = resolve,
) -> ProtocolT:
    """Connect to the first address of `host` that answers. Raises httpx.ConnectError.

    Without TLS only where private upstreams are allowed: a key is not sent in the clear.
    """
    if tls is None and not allow_private:
        raise httpx.ConnectError(f"{host} is set with http://; LECTR_ALLOW_PRIVATE_UPSTREAMS=1 allows that")
    try:
        addresses = await resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"no address for {host}") from error
    allowed = addresses if allow_private else [address for address in addresses if is_public(address)]
    if not allowed:
        raise httpx.ConnectError(
            f"{host} has no public address; LECTR_ALLOW_PRIVATE_UPSTREAMS=1 allows upstreams in your own network"
        )
    loop = asyncio.get_running_loop()
    failure: Exception | None = None
    for number, address in enumerate(allowed):
        last = number == len(allowed) - 1
        try:
            async with asyncio.timeout(None if last else _PROBE_S):
                _, protocol = await loop.create_connection(
                    make_protocol, address, port, ssl=tls, server_hostname=host if tls else None
                )
                return protocol
        except (OSError, ssl.SSLError, ssl.CertificateError, TimeoutError) as error:
            failure = error
    raise httpx.ConnectError(f"no connection to {host}:{port}: {_why(failure)}") from failure


def _why(failure: Exception | None) -> str:
    """What kept a connection from coming about, in words; never what the other side wrote."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({failure.verify_message})"
    if isinstance(failure, ssl.SSLError):
        return f"no TLS 1.2 or newer could be agreed on ({failure.reason or 'no reason given'})"
    if isinstance(failure, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(failure, TimeoutError):
        return "no answer"
    return type(failure).__name__
