"""/sign-in: password, one-time link, and the way out.

Before a session exists the CSRF token is bound to a random cookie of its own, `lectr-visit`.
"""

import secrets
from typing import Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from app.console import caller, render
from app.console.caller import AnyRequest
from app.console.links import local_path
from app.console.session import (
    Visitor,
    form_token,
    require_own_form,
    session_token,
    set_session,
    visitor,
)
from app.console.sign_in_limit import SignInLimit
from app.ledger.users import UserRow
from app.services import Services

_VISIT_COOKIE = "lectr-visit"
_WRONG = "That name and password do not fit."
_LINK_GONE = "This link has been used, or is older than 15 minutes. Ask for a new one: lectr users link NAME."
_MAX_PASSWORD_CHARACTERS = 1000
_MAX_FORM_BYTES = 64 * 1024
"""These forms come from anybody, and a form of millions of empty fields would hold up everybody else."""
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class SignInView(msgspec.Struct, frozen=True, kw_only=True):
    """The sign-in form, or with `link` the button that redeems a one-time link."""

    next: str = "/"
    name: str = ""
    problem: str | None = None
    link: str | None = None


def routes() -> list[Router]:
    """The sign-in page and sign-out."""
    limit = SignInLimit()
    open_routes = Router(
        "/",
        route_handlers=[show, submit, show_link, redeem],
        dependencies={"limit": Provide(lambda: limit, sync_to_thread=False)},
        include_in_schema=False,
        request_max_body_size=_MAX_FORM_BYTES,
    )
    signed_in = Router(
        "/", route_handlers=[sign_out], dependencies={"visitor": Provide(visitor)}, include_in_schema=False
    )
    return [open_routes, signed_in]


@get("/sign-in")
async def show(request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
    """The form; whoever is signed in already goes on."""
    target = local_path(request.query_params.get("next"))
    token = session_token(request, services.settings)
    if token and await services.sessions.get(token):
        return render.redirect(target)
    return await _page(request, services, SignInView(next=target))


@post("/sign-in")
async def submit(
    request: AnyRequest, services: NamedDependency[Services], limit: NamedDependency[SignInLimit]
) -> Response[Any]:
    """Check name and password; the answer is the same for a name that does not exist."""
    await require_own_form(request, services, _visit(request))
    form = await request.form()
    name, password = (str(form.get(field, ""))[:_MAX_PASSWORD_CHARACTERS] for field in ("name", "password"))
    view = SignInView(next=local_path(str(form.get("next", "/"))), name=name.strip())
    address = caller.address(request, services.settings)
    if wait := await limit.admit(services.database, address, view.name, services.clock()):
        return await _too_many(request, services, view, wait)
    user = await services.users.check(view.name, password)
    if user is None:
        return await _page(request, services, msgspec.structs.replace(view, problem=_WRONG), status=401)
    await limit.forget(services.database, address, view.name)
    return await _begin(request, services, user, view.next)


@get("/sign-in/link/{token:str}")
async def show_link(request: AnyRequest, services: NamedDependency[Services], token: FromPath[str]) -> Response[bytes]:
    """A button and nothing more: a chat program that looks at the link must not use it up."""
    return await _page(request, services, SignInView(link=token))


@post("/sign-in/link/{token:str}")
async def redeem(
    request: AnyRequest, services: NamedDependency[Services], limit: NamedDependency[SignInLimit], token: FromPath[str]
) -> Response[Any]:
    """Use the link up and sign its person in."""
    await require_own_form(request, services, _visit(request))
    address = caller.address(request, services.settings)
    if wait := await limit.admit(services.database, address, None, services.clock()):
        return await _too_many(request, services, SignInView(), wait)
    user = await services.users.redeem_link(token)
    if user is None:
        return await _page(request, services, SignInView(problem=_LINK_GONE), status=401)
    return await _begin(request, services, user, "/")


@post("/sign-out", opt={"viewer_may": True})
async def sign_out(
    request: AnyRequest, services: NamedDependency[Services], visitor: NamedDependency[Visitor]
) -> Response[bytes]:
    """End this session, or with `everywhere` all of this person's."""
    form = await request.form()
    if form.get("everywhere"):
        await services.sessions.end_all(visitor.user_id)
    else:
        await services.sessions.end(visitor.token)
    answer = render.redirect("/sign-in")
    set_session(answer, request, services.settings, None)
    return answer


async def _too_many(request: AnyRequest, services: Services, view: SignInView, wait_s: int) -> Response[bytes]:
    problem = f"Too many tries. Wait {wait_s} seconds, then try again."
    answer = await _page(request, services, msgspec.structs.replace(view, problem=problem), status=429)
    answer.headers["retry-after"] = str(wait_s)
    return answer


async def _begin(request: AnyRequest, services: Services, user: UserRow, target: str) -> Response[bytes]:
    """A new session under a new id; one the browser brought along is ended."""
    if old := session_token(request, services.settings):
        await services.sessions.end(old)
    answer = render.redirect(target)
    set_session(answer, request, services.settings, await services.sessions.create(user.id))
    return answer


def _visit(request: AnyRequest) -> str:
    return f"visit:{request.cookies.get(_VISIT_COOKIE, '')}"


async def _page(request: AnyRequest, services: Services, view: SignInView, status: int = 200) -> Response[bytes]:
    """The sign-in page with a form that only the browser that got it can send."""
    visit = request.cookies.get(_VISIT_COOKIE) or secrets.token_urlsafe(16)
    secure = caller.is_https(request, services.settings)
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    frame = render.Frame(
        path="/sign-in",
        title="Sign in",
        csrf=form_token(services, f"visit:{visit}"),
        demo=services.settings.demo,
        theme=render.chosen_theme(request),
        version=services.version,
        insecure=not secure and host not in _LOCAL_HOSTS,
    )
    answer = await render.answer(request, "sign_in.html", frame, view, status=status)
    answer.set_cookie(_VISIT_COOKIE, visit, path="/sign-in", secure=secure, httponly=True, samesite="lax")
    return answer
