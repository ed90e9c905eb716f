"""What a person sees when something cannot be shown: 401 to the sign-in page, 403, 404, 500 and the rest as a page."""

import logging
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from app.console import render
from app.console.caller import AnyRequest
from app.errors import NotFoundError

_log = logging.getLogger("lectr.console")
_SENTENCES = {
    404: "There is nothing at this address. The row, model or page may have another name.",
    405: "This address does not take that kind of request.",
    500: "Lectr could not make this page. Requests to providers are not touched by this; the log has the reason.",
}


class FailureView(msgspec.Struct, frozen=True):
    """Status, its name, and one sentence about what to do."""

    status: int
    name: str
    sentence: str


def status_of(error: Exception) -> int:
    """The HTTP status an exception means for a person."""
    if isinstance(error, NotFoundError):
        return 404
    return error.status_code if isinstance(error, HTTPException) else 500


def error_page(request: AnyRequest, error: Exception) -> Response[bytes]:
    """The answer to an exception: the sign-in page for a 401, else a page with the status and a sentence.

    For asgi: register it for 404, 405 and 500 of every path that is neither under /api nor under /v1.
    """
    status = status_of(error)
    if status == 401:
        return _to_sign_in(request)
    if status >= 500:
        _log.error("console: %s on %s", type(error).__name__, request.scope["path"], exc_info=error)
    sentence = _SENTENCES.get(status) or (error.detail if isinstance(error, HTTPException) else str(error))
    if isinstance(error, NotFoundError):
        sentence = str(error)
    view = FailureView(status, HTTPStatus(status).phrase, sentence)
    services = getattr(request.app.state, "services", None)
    frame = render.Frame(
        path=request.scope["path"],
        title=f"{status} {view.name}",
        theme=render.chosen_theme(request),
        demo=services is not None and services.settings.demo,
    )
    block = "failure" if render.wants_fragment(request) else None
    return render.html(request, render.render("failure.html", frame, view, block), status)


def _to_sign_in(request: AnyRequest) -> Response[bytes]:
    """A redirect; htmx would swap a redirect's page into a part of this one, so it is told to go there."""
    came_from = request.scope["path"]
    if request.method in ("GET", "HEAD") and request.scope["query_string"]:
        came_from += "?" + request.scope["query_string"].decode("latin-1")
    shown = request.headers.get("hx-request") == "true"
    safe = request.method in ("GET", "HEAD") and not shown
    target = "/sign-in" + ("?" + urlencode({"next": came_from}) if safe and came_from != "/" else "")
    if shown:
        return Response(b"", status_code=200, headers={"hx-redirect": target, "cache-control": "no-store"})
    return render.redirect(target)
