"""What keeps the console safe in a browser: response headers, CSRF tokens and the same-origin rule.

`CONSOLE_HEADERS` belongs on every answer outside `/v1/`, errors included; the ASGI wrapper at the edge puts it there.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

CONSOLE_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with that a browser sends `Origin: null` on our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS_HEADER = ("strict-transport-security", "max-age=31536000")
"""Only for answers to requests that came by https."""

CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
_NONCE_CHARACTERS = 16


def csrf_token(secret: bytes, session: str) -> str:
    """A token bound to `session`. Each one differs, so that a compressed page does not give it away."""
    nonce = secrets.token_hex(_NONCE_CHARACTERS // 2)
    return nonce + _signature(secret, session, nonce)


def csrf_holds(secret: bytes, session: str, token: str) -> bool:
    """True if `csrf_token` made `token` for this session with this secret."""
    nonce, signature = token[:_NONCE_CHARACTERS], token[_NONCE_CHARACTERS:]
    return hmac.compare_digest(signature.encode(), _signature(secret, session, nonce).encode())


def _signature(secret: bytes, session: str, nonce: str) -> str:
    return hmac.new(secret, f"csrf:{nonce}:{session}".encode(), hashlib.sha256).hexdigest()


def comes_from_here(headers: Mapping[str, str], own_hosts: Iterable[str]) -> bool:
    """True unless a browser says that another site made it send this request.

    `Sec-Fetch-Site` decides where it is sent (https and localhost); on a plain-http LAN it is `Origin`, whose host
    must be one of `own_hosts` (each `host[:port]`). A client that sends neither is no browser, and carries no cookies
    of a victim.
    """
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) not in {host.lower() for host in own_hosts if host}:
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return "no host"
