"""Settings, prices: the team's own aliases and prices, and a reprice of what is in the ledger."""

from datetime import date
from decimal import Decimal, InvalidOperation

from litestar import Response, post
from litestar.di import NamedDependency

from app.catalog.schema import UNITS, Override
from app.console import render
from app.console.page import Page
from app.console.settings import Result, answer_settings
from app.errors import ConflictError, LectrError

_MAX_RATE = Decimal(1_000_000)


@post("/settings/overrides")
async def add_override(page: NamedDependency[Page]) -> Response[bytes]:
    """Add an alias or a price, or with `do=preview` only say what a price would change of past requests.

    The catalog judges it first, so that nothing bad is ever stored. With `do=reprice` past requests change at once.
    """
    form = await page.form()
    try:
        wanted = _override(form)
        present = await page.services.team.list_overrides()
        catalog = page.services.catalog.current.with_overrides([*present, wanted])
        if form.get("do") == "preview" and wanted.kind == "price":
            report = await page.services.reprice.by_override(wanted, catalog, True)
            return await answer_settings(page, Result(section="prices", given=form, preview=report))
        added = await page.services.team.add_override(
            wanted.kind,
            wanted.provider,
            wanted.model,
            alias=wanted.alias,
            rates=wanted.rates,
            starts=wanted.starts,
            note=wanted.note,
        )
        await page.services.refresh_catalog()
        if form.get("do") == "reprice" and wanted.kind == "price":
            report = await page.services.reprice.by_override(added, page.services.catalog.current, False)
            return await answer_settings(page, Result(section="prices", preview=report))
    except LectrError as error:
        return await answer_settings(page, Result(section="prices", problem=str(error), given=form))
    return render.redirect("/settings?done=override-added#prices")


@post("/settings/overrides/delete")
async def delete_override(page: NamedDependency[Page]) -> Response[bytes]:
    """Take an override away."""
    number = (await page.form()).get("id", "")
    try:
        if not (number.isascii() and number.isdigit()):
            raise ConflictError("An override is named by its number.")
        await page.services.team.delete_override(int(number))
    except LectrError as error:
        return await answer_settings(page, Result(section="prices", problem=str(error)))
    await page.services.refresh_catalog()
    return render.redirect("/settings?done=override-deleted#prices")


@post("/settings/reprice")
async def reprice(page: NamedDependency[Page]) -> Response[bytes]:
    """Price the requests that have no price; first what it would change, then for good."""
    form = await page.form()
    dry_run = form.get("for_good") != "1"
    try:
        report = await page.services.reprice.run(None, False, dry_run)
    except LectrError as error:
        return await answer_settings(page, Result(section="reprice", problem=str(error)))
    return await answer_settings(page, Result(section="prices", reprice=report))


def _override(form: dict[str, str]) -> Override:
    kind = form.get("kind", "")
    model, provider = form.get("model", ""), form.get("provider", "")
    if not model or not provider:
        raise ConflictError("An override needs a provider and a model.")
    rates = {unit: _rate(unit, form[unit]) for unit in UNITS if form.get(unit)}
    if kind == "price" and not rates:
        raise ConflictError("A price needs at least one rate, in US dollars per million tokens.")
    try:
        starts = date.fromisoformat(form["starts"]) if form.get("starts") else None
    except ValueError:
        raise ConflictError("The first day is written as 2026-11-22.") from None
    alias = form.get("alias") or None
    if kind == "alias":
        if alias is None:
            raise ConflictError("An alias needs the other name too.")
        return Override(id=0, kind=kind, provider=provider, model=model, alias=alias, note=form.get("note", ""))
    return Override(
        id=0, kind=kind, provider=provider, model=model, rates=rates, starts=starts, note=form.get("note", "")
    )


def _rate(unit: str, text: str) -> Decimal:
    try:
        rate = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        rate = Decimal(-1)
    if not rate.is_finite() or not 0 <= rate <= _MAX_RATE:
        raise ConflictError(f"{unit.replace('_', ' ')}: write dollars such as 2.50.")
    return rate
