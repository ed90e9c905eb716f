"""Errors as each provider words them, and the model names that ask for one.

A model name that contains `error-429` is answered with that status; `error-reset` breaks the connection amid the
answer, `error-midstream` sends an error event amid a stream, `error-silent` never answers.
"""

import re
from typing import Any

import msgspec

_ASKED = re.compile(r"error-(\d{3}|reset|midstream|silent)")
_TYPES = {
    400: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    401: ("authentication_error", "invalid_api_key", "UNAUTHENTICATED"),
    403: ("permission_error", "permission_denied", "PERMISSION_DENIED"),
    404: ("not_found_error", "model_not_found", "NOT_FOUND"),
    413: ("request_too_large", "request_too_large", "INVALID_ARGUMENT"),
    429: ("rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"),
    500: ("api_error", "server_error", "INTERNAL"),
    503: ("api_error", "service_unavailable", "UNAVAILABLE"),
    529: ("overloaded_error", "overloaded", "UNAVAILABLE"),
}
_encode = msgspec.json.Encoder().encode


def asked_fault(model: str) -> str | None:
    """What a model name asks for: three digits, `reset`, `midstream` or `silent`; None for all others."""
    found = _ASKED.search(model)
    return None if found is None else found.group(1)


def error_body(provider: str, status: int, message: str, request_id: str) -> bytes:
    """An error in the provider's own shape (wire-facts.md section 4)."""
    kind, code, google = _TYPES.get(status, _TYPES[500 if status >= 500 else 400])
    body: Any
    if provider == "anthropic":
        body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    elif provider == "gemini":
        body = [{"error": {"code": status, "message": message, "status": google}}]
    elif provider == "azure":
        body = {"error": {"code": str(status), "message": message}}
    elif provider == "groq":
        body = {"error": {"message": message, "type": kind, "code": code}}
    else:
        body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return bytes(_encode(body))


def midstream_error(provider: str, request_id: str) -> bytes:
    """An error event in the middle of a stream."""
    body = error_body(provider, 529 if provider == "anthropic" else 500, "The demo was asked to fail here.", request_id)
    return (b"event: error\n" if provider == "anthropic" else b"") + b"data: " + body + b"\n\n"
