"""The Lectr key and the provider's key of a request, wherever a client can put them."""

import msgspec

from app.domain import Headers
from app.errors import RequestRejected

LECTR_KEY_PREFIX = "lc_key_"
_SINGLE = frozenset(
    (
        b"host",
        b"content-length",
        b"content-type",
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-lectr-key",
        b"x-lectr-provider",
        b"x-lectr-feature",
        b"x-lectr-task",
    )
)
_KEY_FIELDS = (b"authorization", b"x-api-key", b"api-key")


class Caller(msgspec.Struct):
    """What the header of a request says: the Lectr key, the provider keys in order, and the fields Lectr reads."""

    lectr_key: str | None
    provider_keys: tuple[str, ...]
    fields: dict[bytes, bytes]


def read_headers(headers: Headers) -> Caller:
    """One pass over the header fields. Raises RequestRejected `invalid_request` where a single one comes twice."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in fields and name in _SINGLE:
            shown = name.decode("latin-1")
            raise RequestRejected(400, "invalid_request", f"The header {shown} was sent twice. Send it once.")
        fields[name] = value
    lectr_key = fields[b"x-lectr-key"].decode("latin-1").strip() if b"x-lectr-key" in fields else None
    provider_keys: list[str] = []
    for name in _KEY_FIELDS:
        token = fields.get(name, b"").decode("latin-1").strip()
        if name == b"authorization":
            scheme, _, rest = token.partition(" ")
            token = rest.strip() if rest and scheme.lower() == "bearer" else token if not rest else ""
        if token.startswith(LECTR_KEY_PREFIX):
            lectr_key = lectr_key or token
        elif token:
            provider_keys.append(token)
    return Caller(lectr_key or None, tuple(provider_keys), fields)


def missing_key() -> RequestRejected:
    """401: no Lectr key was sent."""
    return RequestRejected(
        401,
        "missing_lectr_key",
        "No Lectr key was sent. Put it in the header X-Lectr-Key, or where your client puts its provider key. "
        "`lectr keys create NAME` makes one.",
    )


def invalid_key() -> RequestRejected:
    """401: the Lectr key is not known or was revoked."""
    return RequestRejected(
        401,
        "invalid_lectr_key",
        "This Lectr key is not known or was revoked. `lectr keys list` shows the keys; "
        "`lectr keys create NAME` makes one.",
    )
