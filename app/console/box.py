"""Settings, this box: reporting zone, retention, a backup, and whether every request has its row."""

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from app.console import render
from app.console.page import Page
from app.console.settings import Result, answer_settings
from app.errors import ConflictError, LectrError
from app.ledger.care import CareFigures
from app.ledger.writer import WriterCounters


class SelfCheckView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of self_check.html."""

    writer: WriterCounters
    care: CareFigures
    in_flight: int
    unconfirmed: int
    without_key: int
    unexpected: int
    overhead_us: tuple[int, int, int] | None
    overhead_requests: int

    @property
    def adds_up(self) -> bool:
        """Every accepted request has its row, waits for it, or is counted as having none."""
        writer = self.writer
        return writer.accepted == writer.written + writer.waiting + writer.parked + writer.lost


@get("/settings/self-check")
async def show_self_check(page: NamedDependency[Page]) -> Response[bytes]:
    """Accepted = written + waiting + parked + lost, and what else says that the ledger is whole."""
    services = page.services
    counters = services.counters
    view = SelfCheckView(
        writer=services.ledger.counters,
        care=services.care.figures,
        in_flight=counters.in_flight,
        unconfirmed=counters.ledger_unconfirmed,
        without_key=counters.without_valid_key,
        unexpected=counters.unexpected_errors,
        overhead_us=counters.overhead_quantiles_us(),
        overhead_requests=len(counters.overheads_us),
    )
    return await page.answer("self_check.html", view, title="Self-check")


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
