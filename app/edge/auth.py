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
    )
)
_LABELS = frozenset((b"x-lectr-provider", b"x-lectr-feature", b"x-lectr-task"))
_KEY_FIELDS = (b"authorization", b"x-api-key", b"api-key")


class Caller(msgspec.Struct):
    """What the header of a request says: the Lectr key, the provider keys in order, and the fields Lectr reads.

    `repeated` names a field that must come once and came twice: the request cannot be served.
    """

    lectr_key: str | None
    provider_keys: tuple[str, ...]
    fields: dict[bytes, bytes]
    repeated: bytes | None = None


def read_headers(headers: Headers) -> Caller:
    """One pass over the header fields. A label that comes twice reads as HTTP reads it: joined with a comma."""
    fields: dict[bytes, bytes] = {}
    repeated: bytes | None = None
    for name, value in headers:
        if name in fields:
            if name in _SINGLE:
                repeated = name
            elif name in _LABELS:
                value = fields[name] + b", " + value
        fields[name] = value
    lectr_key = fields[b"x-lectr-key"].decode("latin-1").strip() if b"x-lectr-key" in fields else None
    provider_keys: list[str] = []
    for name in _KEY_FIELDS:
        token = fields.get(name, b"").decode("latin-1").strip()
        if name == b"authorization":
            token = _bearer(token)
        if token.startswith(LECTR_KEY_PREFIX):
            lectr_key = lectr_key or token
        elif token:
            provider_keys.append(token)
    return Caller(lectr_key or None, tuple(provider_keys), fields, repeated)


def _bearer(value: str) -> str:
    """The token of an Authorization value; also one without a scheme. Empty for a scheme without a token."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return "" if rest else value


def sent_twice(name: bytes) -> RequestRejected:
    """400: a field that Lectr and the provider could read differently."""
    return RequestRejected(400, "invalid_request", f"The header {name.decode('latin-1')} was sent twice. Send it once.")


def refusal(caller: Caller) -> RequestRejected:
    """Why a request without a valid Lectr key is refused."""
    if caller.repeated is not None:
        return sent_twice(caller.repeated)
    if caller.lectr_key is None:
        return RequestRejected(
            401,
            "missing_lectr_key",
            "No Lectr key was sent. Put it in the header X-Lectr-Key, or where your client puts its provider key. "
            "`lectr keys create NAME` makes one.",
        )
    return RequestRejected(
        401,
        "invalid_lectr_key",
        "This Lectr key is not known or was revoked. `lectr keys list` shows the keys; "
        "`lectr keys create NAME` makes one.",
    )
