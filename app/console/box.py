"""Settings, this box: reporting zone, retention, a backup."""

from litestar import Response, post
from litestar.di import NamedDependency

from app.console import render
from app.console.page import Page
from app.console.settings import Result, answer_settings
from app.errors import ConflictError, LectrError


@post("/settings/zone")
async def set_zone(page: NamedDependency[Page]) -> Response[bytes]:
    """The zone in which days begin and times are shown; all days are summed anew."""
    form = await page.form()
    try:
        await page.services.team.set("reporting_zone", form.get("zone", ""))
    except ConflictError as error:
        return await answer_settings(page, Result(section="box", problem=str(error), given=form))
    return render.redirect("/settings?done=zone#box")


@post("/settings/retention")
async def set_retention(page: NamedDependency[Page]) -> Response[bytes]:
    """How many days rows are kept; empty keeps them for ever. Daily sums are always kept."""
    form = await page.form()
    try:
        await page.services.team.set("retention_days", form.get("days", ""))
    except ConflictError as error:
        return await answer_settings(page, Result(section="box", problem=str(error), given=form))
    return render.redirect("/settings?done=retention#box")


@post("/settings/backup")
async def make_backup(page: NamedDependency[Page]) -> Response[bytes]:
    """A consistent copy into the data folder's `backups`."""
    try:
        path = await page.services.backup(None)
    except LectrError as error:
        return await answer_settings(page, Result(section="box", problem=str(error)))
    return await answer_settings(page, Result(section="box", backup=str(path)))
