"""Who is calling: address and scheme, believing forwarded headers only from trusted proxies."""

from ipaddress import ip_address, ip_network
from typing import Any

from litestar import Request

from app.settings import Settings

AnyRequest = Request[Any, Any, Any]


def _trusted(address: str, settings: Settings) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network, strict=False) for network in settings.trusted_proxies)


def _peer(request: AnyRequest) -> str:
    return request.client.host if request.client else ""


def address(request: AnyRequest, settings: Settings) -> str:
    """The client's address: behind trusted proxies the last one they did not add themselves."""
    hops = [_peer(request)]
    forwarded = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while forwarded and _trusted(hops[-1], settings):
        hops.append(forwarded.pop())
    return hops[-1]


def is_https(request: AnyRequest, settings: Settings) -> bool:
    """True if the browser spoke TLS, to us or to a trusted proxy in front."""
    if request.scope["scheme"] == "https":
        return True
    proto = request.headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
    return proto == "https" and _trusted(_peer(request), settings)


def base_url(request: AnyRequest, settings: Settings) -> str:
    """This box's address as the browser sees it, without a trailing slash; LECTR_PUBLIC_URL wins."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = "https" if is_https(request, settings) else "http"
    return f"{scheme}://{request.headers.get('host') or f'{settings.host}:{settings.port}'}"
