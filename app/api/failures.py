"""Errors of the admin API in OpenAI's shape."""

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.errors import ConflictError, LectrError, LedgerError, NotFoundError, RegistryError

_log = logging.getLogger("lectr.api")
_CODES = {401: "invalid_admin_token", 404: "not_found", 405: "method_not_allowed", 409: "conflict", 413: "too_large"}
_TYPES = {401: "authentication_error"}


class BadQuery(LectrError):
    """A parameter or body that cannot be used; the text says what to write."""


def api_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to any exception of a route under /api."""
    status, message = _status(error)
    if status >= 500:
        _log.error("api: %s on %s", type(error).__name__, request.scope["path"], exc_info=error)
        message = "Lectr could not answer this. Requests to providers are not touched by it; the log has the reason."
    return error_response(status, message)


def error_response(status: int, message: str) -> Response[bytes]:
    """An error answer with the code that belongs to its status."""
    code = _CODES.get(status, "internal_error" if status >= 500 else "invalid_request")
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = msgspec.json.encode({"error": {"message": message, "type": kind, "code": code}})
    return Response(body, status_code=status, media_type="application/json")


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, NotFoundError):
        return 404, str(error)
    if isinstance(error, ConflictError):
        return 409, str(error)
    if isinstance(error, BadQuery | RegistryError):
        return 400, str(error)
    if isinstance(error, HTTPException):
        return error.status_code, _sentence(error)
    if isinstance(error, LedgerError):
        return 503, str(error)
    return 500, ""


def _sentence(error: HTTPException) -> str:
    extra = error.extra
    if isinstance(extra, list) and extra:
        told = [f"{item.get('key', 'body')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
        return "; ".join(told) or error.detail
    return error.detail
