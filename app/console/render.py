"""The one place that chooses between a page and a fragment.

A page and its fragment are one template and one view (a msgspec Struct, `view` in the template); the fragment is a
named block of it, rendered alone. Templates also see `page`, the frame around every view, and `fragment`.
"""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

from app.console import figures, times, units
from app.console.assets import assets
from app.console.caller import AnyRequest
from app.console.security import CSRF_FIELD
from app.ledger.polite import apart
from app.ledger.troubles import Trouble

THEMES = ("light", "dark", "system")
THEME_COOKIE = "lectr-theme"
_HTML = "text/html; charset=utf-8"
_MIN_GZIP_BYTES = 1024
_GZIP_LEVEL = 5
_FILTERS = (
    *(figures.money, figures.cost, figures.exact_money, figures.amount, figures.rate, figures.count),
    *(figures.compact, figures.duration, figures.microseconds, figures.share),
    *(times.iso, times.absolute, times.short, times.ago, units.unit, units.per),
)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around every view: title, who is signed in, where we are, how times read."""

    path: str
    title: str
    user: str | None = None
    admin: bool = False
    csrf: str = ""
    demo: bool = False
    zone: str = "UTC"
    now_us: int = 0
    theme: str = "system"
    version: str = ""
    notice: str | None = None
    troubles: tuple[Trouble, ...] = ()
    """What is wrong with the ledger, for the banner on every page."""
    insecure: bool = False
    """True where the browser spoke plain http to something else than this machine."""


@cache
def templates() -> Environment:
    """The Jinja environment: autoescape on, an unknown name is an error; built at first use."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).resolve().parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.globals.update(asset=assets().url, csrf_field=CSRF_FIELD, reasons=figures.REASONS)
    # A block rendered alone sees no imports of its template: the macros are therefore global.
    environment.globals["ui"] = environment.get_template("ui.html").module
    return environment


def wants_fragment(request: AnyRequest) -> bool:
    """True if htmx asks for a part of the page it already shows."""
    headers = request.headers
    return (
        headers.get("hx-request") == "true"
        and headers.get("hx-request-type") == "partial"
        and headers.get("hx-boosted") != "true"
        and headers.get("hx-history-restore-request") != "true"
    )


def render(template: str, frame: Frame, view: Any, block: str | None = None) -> str:
    """HTML of a page, or of one of its blocks alone."""
    compiled = templates().get_template(template)
    variables = {"page": frame, "view": view, "fragment": block is not None}
    if block is None:
        return compiled.render(variables)
    return "".join(compiled.blocks[block](compiled.new_context(variables)))


async def answer(
    request: AnyRequest, template: str, frame: Frame, view: Any, *, block: str | None = None, status: int = 200
) -> Response[bytes]:
    """The page, or `block` of it where htmx asks for a part. Made in a thread: no stream waits for a page."""
    chosen = block if block and wants_fragment(request) else None
    return await apart(lambda: html(request, render(template, frame, view, chosen), status))


def html(request: AnyRequest, text: str, status: int = 200) -> Response[bytes]:
    """An HTML answer that no cache keeps, gzipped where the browser takes it."""
    headers = {"cache-control": "no-store", "vary": "HX-Request, Accept-Encoding", "content-type": _HTML}
    content = text.encode()
    if len(content) >= _MIN_GZIP_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(content, status_code=status, headers=headers)


def redirect(path: str) -> Response[bytes]:
    """Onwards after a form: 303, so that a reload repeats nothing."""
    return Response(b"", status_code=303, headers={"location": path, "cache-control": "no-store"})


def chosen_theme(request: AnyRequest) -> str:
    """Light, dark or system, as the theme cookie says."""
    theme = request.cookies.get(THEME_COOKIE, "system")
    return theme if theme in THEMES else "system"
