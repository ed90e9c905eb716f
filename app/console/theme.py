"""POST /theme: light, dark or system, kept in a cookie, for browsers without JavaScript."""

from litestar import Response, post
from litestar.di import NamedDependency

from app.console import render
from app.console.links import local_path
from app.console.page import Page
from app.console.session import VIEWER_MAY

_YEAR_S = 31_536_000


@post("/theme", opt={VIEWER_MAY: True})
async def choose_theme(page: NamedDependency[Page]) -> Response[bytes]:
    """Remember the theme and go back."""
    form = await page.form()
    answer = render.redirect(local_path(form.get("next")))
    theme = form.get("theme", "")
    if theme in render.THEMES:
        answer.set_cookie(render.THEME_COOKIE, theme, path="/", max_age=_YEAR_S, samesite="lax")
    return answer
