"""Settings, keys: create one (its secret is shown this once), revoke one."""

from litestar import Response, post
from litestar.di import NamedDependency

from app.console import render
from app.console.page import Page
from app.console.settings import Created, Result, answer_settings
from app.errors import ConflictError, NotFoundError

_LIMITS = ("requests_per_minute", "streams")


@post("/settings/keys")
async def create_key(page: NamedDependency[Page]) -> Response[bytes]:
    """Make a key and show it. Not a redirect: what is shown once cannot be loaded again."""
    form = await page.form()
    try:
        limits = {name: _limit(form.get(name, "")) for name in _LIMITS}
        provider = form.get("provider") or None
        if provider and provider not in page.services.catalog.current.providers:
            raise ConflictError(f"There is no provider {provider[:40]!r}.")
        secret, row = await page.services.keys.create(
            form.get("name", ""),
            provider=provider,
            feature=form.get("feature") or None,
            requests_per_minute=limits["requests_per_minute"],
            streams=limits["streams"],
        )
    except ConflictError as error:
        return await answer_settings(page, Result(section="keys", problem=str(error), given=form))
    return await answer_settings(page, Result(section="keys", key=Created(row.name, secret)))


@post("/settings/keys/revoke")
async def revoke_key(page: NamedDependency[Page]) -> Response[bytes]:
    """End a key, at once."""
    form = await page.form()
    try:
        await page.services.keys.revoke(form.get("name", ""))
    except NotFoundError as error:
        return await answer_settings(page, Result(section="keys", problem=str(error)))
    return render.redirect("/settings?done=key-revoked#keys")


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise ConflictError("A limit is a whole number from 1 to 1,000,000, or empty for none.")
    return int(text)
