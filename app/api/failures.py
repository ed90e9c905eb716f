"""Errors of the admin API in OpenAI's shape."""

import logging
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from app.errors import ConflictError, LectrError, LedgerError, NotFoundError, RegistryError

_log = logging.getLogger("lectr.api")
_LACKING = re.compile(r"Missing required query parameter '(\w+)'")
_WRONG_TYPE = re.compile(r"Expected `([\w |]+)`, got `\w+`(.*)", re.DOTALL)
_WRITE = {
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "object": "a JSON object, {…}",
    "array": "a JSON list, […]",
    "str | null": "a text or null",
}
_CODES = {401: "invalid_admin_token", 404: "not_found", 405: "method_not_allowed", 409: "conflict", 413: "too_large"}
_TYPES = {401: "authentication_error"}
_MEANINGS = {
    400: "`invalid_request`: a parameter or the body cannot be used; the message says what to write.",
    401: "`invalid_admin_token`: the admin token is missing or wrong.",
    404: "`not_found`: there is nothing of this id or name.",
    409: "`conflict`: the same is there already.",
}


class ErrorText(msgspec.Struct):
    """What went wrong: a sentence, a broad type and a code."""

    message: str
    type: str
    code: str


class ErrorAnswer(msgspec.Struct):
    """Every error of the admin API."""

    error: ErrorText


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of a route for the OpenAPI document; 401 is one of every route."""
    return {
        status: ResponseSpec(ErrorAnswer, description=_MEANINGS[status], generate_examples=False)
        for status in sorted({401, *statuses})
    }


class BadQuery(LectrError):
    """A parameter or body that cannot be used; the text says what to write."""


def api_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to any exception of a route under /api."""
    status, message = _status(error)
    if status >= 500:
        _log.error("api: %s on %s", type(error).__name__, request.scope["path"], exc_info=error)
        message = "Lectr could not answer this. Requests to providers are not touched by it; the log has the reason."
    return error_response(status, message, _headers(error))


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    """An error answer with the code that belongs to its status."""
    code = _CODES.get(status, "internal_error" if status >= 500 else "invalid_request")
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = msgspec.json.encode(ErrorAnswer(ErrorText(message, kind, code)))
    return Response(body, status_code=status, media_type="application/json", headers=headers)


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
    if isinstance(error, RecursionError):
        return 400, "The body is nested too deeply."
    return 500, ""


def _headers(error: Exception) -> dict[str, str]:
    status = getattr(error, "status_code", None)
    if status == 401:
        return {"www-authenticate": "Bearer"}
    allowed = (getattr(error, "headers", None) or {}).get("allow") if status == 405 else None
    return {"allow": allowed} if allowed else {}


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "The admin API has no such path. GET /api/openapi.json lists all."
    if error.status_code == 405:
        return f"This path takes {_headers(error).get('allow', 'other methods')}."
    extra = error.extra
    if isinstance(extra, list) and extra:
        told = [
            f"{item.get('key', 'data')}: {_plain(str(item.get('message', '')))}"
            for item in extra
            if isinstance(item, dict)
        ]
        sentence = "; ".join(told) or error.detail
        # Litestar calls the body `data`, and says no more than its name where there is none.
        return "The body is missing." if sentence == "data: 'data'" else sentence.replace("data: ", "body: ")
    lacking = _LACKING.match(error.detail)
    return f"{lacking[1]} is missing: add ?{lacking[1]}=… to the address." if lacking else error.detail


def _plain(told: str) -> str:
    """msgspec's words for a value of the wrong type, as what to write instead; others as they are."""
    wrong = _WRONG_TYPE.match(told)
    return told if wrong is None else f"write {_WRITE.get(wrong[1], wrong[1])}{wrong[2]}"
