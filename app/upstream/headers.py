"""Which header fields go upstream and which come back: deny lists, so that tomorrow's beta header passes."""

import re
from functools import lru_cache

from app.catalog.schema import Provider
from app.domain import Headers

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"cookie2"))
_NEVER_UPSTREAM = (
    _HOP_BY_HOP
    | _CREDENTIALS
    | frozenset((b"host", b"content-length", b"accept-encoding", b"expect", b"forwarded", b"via", b"x-real-ip"))
)
_NEVER_BACK = _HOP_BY_HOP | frozenset((b"set-cookie", b"set-cookie2"))
_NEVER_PREFIXES = (b"x-lectr-", b"x-forwarded-")
_AZURE_ONLY = (b"ocp-apim-subscription-key", b"ocp_apim_subscription_key")
_NOTHING: frozenset[bytes] = frozenset()
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    named = [value for name, value in headers if name == b"connection"]
    if not named or named == [b"keep-alive"]:
        return _NOTHING
    return frozenset(token.strip().lower() for value in named for token in value.split(b","))


def _judge(name: bytes) -> bool:
    # Servers behind a gateway interface read X_Forwarded_For as X-Forwarded-For.
    read_as = name.replace(b"_", b"-")
    return read_as not in _NEVER_UPSTREAM and not read_as.startswith(_NEVER_PREFIXES)


_KEPT_NAME_BYTES = 64
_goes_upstream = lru_cache(maxsize=1024)(_judge)


def request_headers(
    headers: Headers, provider: Provider, endpoint: str, provider_key: str, host: bytes, content_length: int | None
) -> Headers:
    """The header fields sent upstream. `content_length` None = the body is streamed in chunks."""
    dropped = _named_in_connection(headers)
    kept: Headers = [(b"host", host)]
    for field in headers:
        name = field[0]
        if not (_goes_upstream(name) if len(name) <= _KEPT_NAME_BYTES else _judge(name)) or name in dropped:
            continue
        if name in _AZURE_ONLY and provider.id != "azure":
            continue
        kept.append(field)
    for default_name, default_value in provider.default_headers.items():
        encoded = default_name.lower().encode("ascii")
        if not any(name == encoded for name, _ in kept):
            kept.append((encoded, default_value.encode("ascii")))
    kept.append((b"accept-encoding", b"identity"))
    kept.append(_authorization(provider, endpoint, provider_key))
    if content_length is None:
        kept.append((b"transfer-encoding", b"chunked"))
    else:
        kept.append((b"content-length", b"%d" % content_length))
    return kept


def _authorization(provider: Provider, endpoint: str, key: str) -> tuple[bytes, bytes]:
    scheme = provider.auth_by_endpoint.get(endpoint, provider.auth)
    # OAuth tokens of Anthropic and Entra tokens of Azure are bearer tokens whatever the provider's keys are.
    if key.startswith(("sk-ant-oat", "eyJ")):
        scheme = "bearer"
    encoded = key.encode("latin-1")
    if scheme == "bearer":
        return b"authorization", b"Bearer " + encoded
    return scheme.encode("ascii"), encoded


def answer_headers(headers: Headers, *, keep_length: bool) -> Headers:
    """The header fields of an answer that go to the client; names are lower-case already.

    A value with control characters is left out: the server would refuse the whole answer for it.
    """
    named = _named_in_connection(headers)
    dropped = _NEVER_BACK | named if named else _NEVER_BACK
    return [
        field
        for field in headers
        if field[0] not in dropped
        and (keep_length or field[0] != b"content-length")
        and not field[0].startswith((b"x-lectr-", b"x_lectr_"))
        and not _UNSENDABLE.search(field[1])
    ]
