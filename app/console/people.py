"""Settings, people: who may sign in, as admin or viewer; passwords and one-time links."""

from litestar import Response, post
from litestar.di import NamedDependency

from app.console import render
from app.console.page import Page
from app.console.session import VIEWER_MAY, set_session
from app.console.settings import Created, Result, answer_settings
from app.errors import ConflictError, LectrError
from app.ledger.users import MIN_PASSWORD_CHARACTERS


@post("/settings/users")
async def add_user(page: NamedDependency[Page]) -> Response[bytes]:
    """A new user; without a password they sign in by link."""
    form = await page.form()
    try:
        await page.services.users.create(form.get("name", ""), _password(form), form.get("role", "viewer"))
    except ConflictError as error:
        return await answer_settings(page, Result(section="users", problem=str(error), given=form))
    return render.redirect("/settings?done=user-added#users")


@post("/settings/users/delete")
async def delete_user(page: NamedDependency[Page]) -> Response[bytes]:
    """Delete a user, but not oneself: the last admin must not lock the door from outside."""
    form = await page.form()
    name = form.get("name", "")
    try:
        if name == page.visitor.name:
            raise ConflictError("You cannot delete yourself; another admin can.")
        await page.services.users.delete(name)
    except LectrError as error:
        return await answer_settings(page, Result(section="users", problem=str(error)))
    return render.redirect("/settings?done=user-deleted#users")


@post("/settings/users/link")
async def link_user(page: NamedDependency[Page]) -> Response[bytes]:
    """A link that signs a user in once within 15 minutes, shown this once."""
    form = await page.form()
    name = form.get("name", "")
    try:
        token = await page.services.users.create_link(name)
    except LectrError as error:
        return await answer_settings(page, Result(section="users", problem=str(error)))
    link = Created(name, f"{page.base_url()}/sign-in/link/{token}")
    return await answer_settings(page, Result(section="users", link=link))


@post("/settings/password", opt={VIEWER_MAY: True})
async def change_password(page: NamedDependency[Page]) -> Response[bytes]:
    """One's own password, given the present one. Every session ends and this browser gets a new one."""
    form = await page.request.form()
    present, wanted = (str(form.get(field, "")) for field in ("present", "password"))
    name = page.visitor.name
    try:
        user = await page.services.users.check(name, present)
        if user is None:
            raise ConflictError("The present password is not right.")
        await page.services.users.set_password(name, _password({"password": wanted}))
    except ConflictError as error:
        return await answer_settings(page, Result(section="users", problem=str(error)))
    answer = render.redirect("/settings?done=password#users")
    token = await page.services.sessions.create(user.id)
    set_session(answer, page.request, page.services.settings, token)
    return answer


def _password(form: dict[str, str]) -> str:
    password = form.get("password", "")
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise ConflictError(f"A password has at least {MIN_PASSWORD_CHARACTERS} characters.")
    return password
