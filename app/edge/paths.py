"""Paths under `/v1/`: what is refused, what is folded, and the ledger's name of each endpoint."""

from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from app.errors import RequestRejected

_ENDPOINTS = {
    "/v1/chat/completions": "chat.completions",
    "/v1/responses": "responses",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages.count_tokens",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images.generations",
    "/v1/audio/speech": "audio.speech",
    "/v1/audio/transcriptions": "audio.transcriptions",
    "/v1/audio/translations": "audio.translations",
}
OTHER = "other"
MAX_TARGET_BYTES = 16 * 1024
_REFUSED = (b"..", b"//", b"%2e", b"%2f", b"%5c", b"\\")


class InboundPath(msgspec.Struct, frozen=True):
    """A path and query as they go on: `path` starts with `/v1/`, `query` is without `key=`."""

    path: str
    query: str
    endpoint: str
    deployment: str | None


def read_path(method: str, raw_path: bytes, query: bytes) -> InboundPath:
    """Read the raw path of a request under `/v1/`. Raises RequestRejected `invalid_request`."""
    known = _ENDPOINTS.get(raw_path.decode("latin-1")) if method == "POST" and not query else None
    if known is not None:
        return InboundPath(raw_path.decode("ascii"), "", known, None)
    if len(raw_path) + len(query) > MAX_TARGET_BYTES:
        raise RequestRejected(400, "invalid_request", f"Path and query are longer than {MAX_TARGET_BYTES} bytes.")
    lowered = raw_path.lower()
    if method in ("GET", "HEAD") and lowered.startswith(b"/v1/models/"):
        # Answered here and never forwarded: SDKs write the `/` of a model's id as %2F.
        lowered = lowered.replace(b"%2f", b"-")
    if any(part in lowered for part in _REFUSED) or any(byte <= 0x20 or byte >= 0x7F for byte in raw_path):
        raise RequestRejected(
            400,
            "invalid_request",
            "The path contains '..', '//', a backslash or an encoded '.' or '/'. Write it plainly.",
        )
    path = raw_path.decode("ascii")
    while path.startswith("/v1/v1/"):
        path = path[len("/v1") :]
    deployment = None
    if path.startswith("/v1/deployments/"):
        name, slash, rest = path[len("/v1/deployments/") :].partition("/")
        if name and slash and rest:
            deployment = unquote_to_bytes(name).decode("utf-8", "replace")
            path = f"/v1/{rest}"
    endpoint = _ENDPOINTS.get(path, OTHER) if method == "POST" else OTHER
    return InboundPath(path, _without_key(query), endpoint, deployment)


def _without_key(query: bytes) -> str:
    """The query as it came, without its `key=` parts: a provider key does not belong in a URL."""
    parts = [part for part in query.split(b"&") if part and not _is_key(part)]
    kept = b"&".join(parts)
    if any(byte <= 0x20 or byte >= 0x7F or byte in b"#" for byte in kept):
        raise RequestRejected(400, "invalid_request", "The query contains a byte that must be percent-encoded.")
    return kept.decode("ascii")


def _is_key(part: bytes) -> bool:
    names = parse_qsl(part.decode("latin-1"), keep_blank_values=True)
    return any(name.lower() == "key" for name, _ in names)
