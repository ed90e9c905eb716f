"""`lectr detect`, `lectr doctor`, `lectr registry`: what Lectr knows, and whether box and providers are well."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from app.asgi import REGISTRY_DIR
from app.catalog.check import check_registry
from app.catalog.load import load_catalog
from app.catalog.refresh import build_price_list, diff_price_lists
from app.commands.launched import lectr_command
from app.commands.running import catalog_as_served, command, ledger, sentences, settings_from_env, whole
from app.detection.explain import explain
from app.errors import LedgerError, RegistryError, SettingsError
from app.ledger.changes import ChangeFeed
from app.ledger.team import TeamStore
from app.operations.doctor import DoctorStep
from app.operations.doctor_ledger import DATABASE, examine_ledger

PRICE_LIST = REGISTRY_DIR / "prices.json"


@click.command(short_help="Say where a model name goes, and its price.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@command
async def detect(models: tuple[str, ...]) -> None:
    """Say which provider each model name goes to, by which rule, and its price."""
    if not all(name.strip() for name in models):
        raise SettingsError("a model name is empty; write one such as gpt-4o-mini")
    catalog = await catalog_as_served()
    today = datetime.now(UTC).date()
    for name in models:
        found = explain(catalog, model=name)
        recognised = found.detected_by != "default"
        match = catalog.price_at(found.provider, name, today) if recognised else None
        price = "no price"
        if match is not None:
            rates = match.price.rates
            price = f"${rates.get('input_mtok', '-')} in, ${rates.get('output_mtok', '-')} out per million tokens"
            if match.by_base:
                price += "  (price of the undated name)"
        near = f"  (near: {', '.join(found.near_misses)})" if found.near_misses and match is None else ""
        click.echo(f"{name}\t{found.provider if recognised else 'unknown'}\t{found.detected_by}\t{price}{near}")


@click.command(short_help="Look at the box, and ask each provider.")
@click.argument("provider", required=False)
@command
async def doctor(provider: str | None) -> None:
    """Look at the database and the spool, then send each provider that this box holds a key for one tiny request.

    What a request costs at most is said before it is sent. With PROVIDER only that one is asked.
    """
    settings = settings_from_env()
    steps = () if provider else await examine_ledger(settings)
    if steps:
        click.echo(f"This box, {settings.data_dir}")
        _echo_steps(steps)
    if any(step.name == DATABASE and step.ok is False for step in steps):
        raise LedgerError("no provider was asked: each answer has its row, and that needs the database")
    async with whole(settings) as services:
        catalog = services.catalog.current
        holding = [p.id for p in catalog.providers.values() if settings.provider_value(p.key_setting)]
        chosen = [provider] if provider else holding
        if not chosen:
            names = ", ".join(p.key_setting for p in catalog.providers.values())
            raise SettingsError(f"no provider was asked: this box holds no provider key; start with one of {names} set")
        healthy = all(step.ok is not False for step in steps)
        for name in chosen:
            plan = services.plan_doctor(name)
            click.echo(f"{name}: one request to {plan.model}, at most ${plan.expected_cost_usd}")
            report = await services.doctor(name)
            healthy = healthy and report.ok
            _echo_steps(report.steps)
    if not healthy:
        raise click.exceptions.Exit(1)


def _echo_steps(steps: Iterable[DoctorStep]) -> None:
    for step in steps:
        mark = {True: "ok", False: "FAILED", None: "-"}[step.ok]
        click.echo(f"  {step.name:16} {mark:8} {step.detail}")


@click.group(short_help="The registry: check, refresh, import.")
def registry() -> None:
    """The registry: check it, refresh its prices, import a newer list."""


@registry.command("check")
@click.option("--path", type=click.Path(path_type=Path, file_okay=False), default=REGISTRY_DIR, show_default=False)
def check(path: Path) -> None:
    """Fail with file and path for everything that is wrong in the registry."""
    problems = check_registry(path)
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise click.exceptions.Exit(1)
    catalog = load_catalog(path)
    click.echo(f"The registry is in order: {len(catalog.models)} models, prices of {catalog.listed_on}.")


@registry.command("refresh")
def refresh() -> None:
    """Make prices.json anew from the installed package genai-prices (a development command)."""
    made = _installed_list()
    for line in diff_price_lists(PRICE_LIST.read_bytes(), made):
        click.echo(line)
    PRICE_LIST.write_bytes(made)
    click.echo(f"{PRICE_LIST.name} is written; run `{lectr_command('registry check')}`.")


@registry.command("diff")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
def diff(file: Path | None) -> None:
    """Show how FILE, or the installed package's list, differs from the prices in use."""
    newer = file.read_bytes() if file else _installed_list()
    with sentences(), _about(file):
        lines = diff_price_lists(PRICE_LIST.read_bytes(), newer)
    click.echo("\n".join(lines) or "No difference.")


def _installed_list() -> bytes:
    try:
        return build_price_list(datetime.now(UTC).date())
    except ModuleNotFoundError as error:
        if error.name != "genai_prices":
            raise
        click.echo("lectr: the package genai-prices is not installed; `make setup-dev` installs it", err=True)
        raise click.exceptions.Exit(1) from None


@contextmanager
def _about(file: Path | None) -> Iterator[None]:
    """What is wrong with a price list, as a fault of the file that the person named."""
    try:
        yield
    except RegistryError as error:
        if file is None:
            raise
        if error.where:
            raise SettingsError(f"{file}: {error.where}: {error.problem}") from error
        example = f"registry/{PRICE_LIST.name} of a newer Lectr is one"
        raise SettingsError(f"{file} {error.problem}; {example}") from error


@registry.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_list(file: Path) -> None:
    """Use a newer price list from now on, in every process, without a deploy."""
    document = file.read_bytes()
    with sentences(), _about(file):
        catalog = load_catalog(REGISTRY_DIR).with_price_list(document)
    _keep_price_list(document)
    again = f"`{lectr_command('reprice')}` prices unpriced rows."
    click.echo(f"Prices of {catalog.listed_on} are in use within a second. {again}")


@command
async def _keep_price_list(document: bytes) -> None:
    async with ledger() as database:
        await TeamStore(database, ChangeFeed(database)).set_price_list(document)
