"""Who is calling: address and scheme, believing forwarded headers only from trusted proxies."""

from ipaddress import ip_address, ip_network
from typing import Any

from litestar.connection import ASGIConnection

from app.settings import Settings

Connection = ASGIConnection[Any, Any, Any, Any]


def _trusted(address: str, settings: Settings) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network, strict=False) for network in settings.trusted_proxies)


def _peer(connection: Connection) -> str:
    return connection.client.host if connection.client else ""


def address(connection: Connection, settings: Settings) -> str:
    """The client's address: behind trusted proxies the last one they did not add themselves."""
    hops = [_peer(connection)]
    forwarded = [hop.strip() for hop in connection.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while forwarded and _trusted(hops[-1], settings):
        hops.append(forwarded.pop())
    return hops[-1]


def is_https(connection: Connection, settings: Settings) -> bool:
    """True if the browser spoke TLS, to us or to a trusted proxy in front."""
    if connection.scope["scheme"] == "https":
        return True
    proto = connection.headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
    return proto == "https" and _trusted(_peer(connection), settings)


def base_url(connection: Connection, settings: Settings) -> str:
    """This box's address as the browser sees it, without a trailing slash; LECTR_PUBLIC_URL wins."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = "https" if is_https(connection, settings) else "http"
    return f"{scheme}://{connection.headers.get('host') or f'{settings.host}:{settings.port}'}"
