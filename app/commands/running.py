"""What every command needs: settings, errors as sentences, and the ledger open while the work lasts."""

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

import click

from app.asgi import REGISTRY_DIR, running
from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.errors import LectrError
from app.ledger.database import Database, open_database
from app.ledger.sqlite_files import path_of
from app.ledger.team import TeamStore
from app.operations.in_force import catalog_in_force
from app.services import Services
from app.settings import Settings

LOOK_S = 0.3
"""How long a start may look for damage; what is larger than can be read by then is looked through while it serves."""
P = ParamSpec("P")
T = TypeVar("T")


def settings_from_env() -> Settings:
    """The settings of this process. Raises SettingsError."""
    return Settings.from_env(os.environ)


def command(work: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Run an async command; an error of Lectr becomes one sentence on standard error and exit code 1."""

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        async def awaited() -> T:
            return await work(*args, **kwargs)

        with sentences():
            return asyncio.run(awaited())

    return run


class sentences:  # noqa: N801 - reads as a statement: `with sentences():`
    """Turns an error of Lectr into a sentence and exit code 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LectrError):
            click.echo(f"lectr: {error}", err=True)
            sys.exit(1)


@asynccontextmanager
async def ledger(settings: Settings | None = None, *, mends: bool = False) -> AsyncIterator[Database]:
    """The ledger of these settings, closed at the end; one who `mends` replaces a damaged file.

    Raises LedgerError, SettingsError.
    """
    chosen = settings or settings_from_env()
    database = await open_database(chosen, mends=mends, look_s=LOOK_S if mends else 0.0)
    try:
        yield database
    finally:
        await database.close()


async def catalog_as_served() -> Catalog:
    """The catalog that a server here would use. Where there is no ledger yet none is made. Raises LectrError."""
    registry, settings = load_catalog(REGISTRY_DIR), settings_from_env()
    if not settings.database_url and not path_of(settings).exists():
        return registry
    async with ledger(settings) as database:
        team = TeamStore(database)
        await team.load()
    return catalog_in_force(registry, team, registry)


@asynccontextmanager
async def whole(settings: Settings | None = None) -> AsyncIterator[Services]:
    """Everything but the web server: for commands that price or send."""
    async with running(settings or settings_from_env(), load_catalog(REGISTRY_DIR)) as (services, _):
        yield services
