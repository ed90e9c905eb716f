"""Lectr's own errors in the shape the caller's SDK reads: OpenAI's, or Anthropic's under `/v1/messages`."""

import msgspec

from app.domain import Headers
from app.errors import RequestRejected

_OPENAI_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(rejected: RequestRejected, path: str) -> bytes:
    """The JSON body of an error answered on `path`."""
    status = rejected.status
    if _is_messages(path):
        kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error = {"type": kind, "message": rejected.message, "code": rejected.code}
        return msgspec.json.encode({"type": "error", "error": error})
    kind = _OPENAI_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": rejected.message, "type": kind, "code": rejected.code}})


def _is_messages(path: str) -> bool:
    while path.startswith("/v1/v1/"):
        path = path[len("/v1") :]
    return path == "/v1/messages" or path.startswith("/v1/messages/")


def error_headers(rejected: RequestRejected, body: bytes) -> Headers:
    """Header fields of an error answer."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if rejected.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % rejected.retry_after_s))
    return headers
