"""Who is signed in: the session cookie, and the rules every console route obeys.

`visitor` is a dependency of every route but those of the sign-in page. It lets nobody through who is not signed in,
and no request that changes something without a same-origin CSRF token and the admin role.
"""

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException

from app.console import caller
from app.console.caller import AnyRequest
from app.console.security import CSRF_FIELD, CSRF_HEADER, comes_from_here, csrf_holds, csrf_token
from app.services import Services
from app.settings import Settings

VIEWER_MAY = "viewer_may"
"""A handler with this in its `opt` changes nothing of the team's, so that viewers may call it."""
_SAFE_METHODS = ("GET", "HEAD")


class Visitor(msgspec.Struct, frozen=True):
    """Who is signed in, by which session token."""

    user_id: int
    name: str
    role: str
    token: str

    @property
    def admin(self) -> bool:
        """True if this person may change things."""
        return self.role == "admin"


def cookie_name(secure: bool) -> str:
    """`__Host-` binds the cookie to https and this host; over plain http a browser would refuse it."""
    return "__Host-lectr" if secure else "lectr"


def session_token(request: AnyRequest, settings: Settings) -> str | None:
    """The session token the browser sent, under the name that fits the scheme."""
    return request.cookies.get(cookie_name(caller.is_https(request, settings)))


def set_session(response: Response[bytes], request: AnyRequest, settings: Settings, token: str | None) -> None:
    """Set the session cookie, or with None take it away. It dies with the browser; the server's limits come first."""
    secure = caller.is_https(request, settings)
    response.set_cookie(
        cookie_name(secure),
        token or "",
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
        max_age=None if token else 0,
    )


async def visitor(request: AnyRequest, services: NamedDependency[Services]) -> Visitor:
    """The person signed in. Raises 401 without a session, 403 where the request is not theirs to make."""
    token = session_token(request, services.settings)
    session = await services.sessions.get(token) if token else None
    if token is None or session is None:
        raise NotAuthorizedException("Sign in to see this page.")
    person = Visitor(session.user_id, session.name, session.role, token)
    if request.method not in _SAFE_METHODS:
        await require_own_form(request, services, token)
        if not person.admin and not request.route_handler.opt.get(VIEWER_MAY):
            raise PermissionDeniedException("You are signed in as a viewer, and a viewer can change nothing.")
    return person


async def require_own_form(request: AnyRequest, services: Services, session: str) -> None:
    """Raises 403 unless the request comes from a page of ours, made for this session."""
    own_hosts = (request.headers.get("host", ""), services.settings.public_url.partition("://")[2])
    if not comes_from_here(request.headers, own_hosts):
        raise PermissionDeniedException("This request came from another site, so nothing was changed.")
    token = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD, "")
    if not isinstance(token, str) or not csrf_holds(services.secret, session, token):
        raise PermissionDeniedException("This form is too old, or not ours: load the page again and repeat.")


def form_token(services: Services, session: str) -> str:
    """The CSRF token for the forms of one page."""
    return csrf_token(services.secret, session)
