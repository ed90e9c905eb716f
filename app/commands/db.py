"""`lectr db`: the database itself."""

from pathlib import Path

import click
import msgspec

from app.commands.running import command, ledger, settings_from_env
from app.domain import usd_text
from app.errors import SettingsError
from app.ledger.database import open_database
from app.ledger.sqlite_files import path_of
from app.ledger.transfer import copy_ledger
from app.ledger.verify import verify_rollup
from app.settings import Settings


@click.group()
def db() -> None:
    """The database itself."""


@db.command("upgrade")
@command
async def upgrade() -> None:
    """Bring the database to this version's schema; `lectr serve` does it too."""
    async with ledger() as database:
        click.echo(f"{database.shown} is at this version's schema.")


@db.command("verify")
@command
async def verify() -> None:
    """Compare the daily sums of every day with its rows, and name what differs."""
    async with ledger() as database:
        wrong = await verify_rollup(database)
        for sentence in wrong:
            click.echo(sentence)
        if not wrong:
            click.echo(f"{database.shown}: every sum equals its rows.")
    if wrong:
        raise click.exceptions.Exit(1)


@db.command("copy")
@click.option("--from", "source", help="DATABASE_URL of the ledger to copy; the one in use unless given.")
@click.option("--to", "target", required=True, help="DATABASE_URL of a new database or file: nothing may be in it yet.")
@command
async def copy(source: str | None, target: str) -> None:
    """Copy the whole ledger into another database, between SQLite and PostgreSQL either way, and prove it equal."""
    settings = settings_from_env()
    if source is not None:
        settings = msgspec.structs.replace(settings, database_url=source)
    _refuse_missing_file(settings)
    old = await open_database(settings)
    try:
        new = await open_database(msgspec.structs.replace(settings, database_url=target))
        try:
            click.echo(f"From {old.shown} to {new.shown}")
            copied = await copy_ledger(old, new, _tell)
        finally:
            await new.close()
    finally:
        await old.close()
    tokens = ", ".join(f"{name} {count:,}" for name, count in copied.tokens.items() if count)
    click.echo(
        f"Equal on both sides, row for row and sum for sum: {copied.rows['requests']:,} requests, "
        f"${usd_text(copied.cost_picousd)}, {tokens or 'no tokens'}; every daily sum equals its rows."
    )


def _tell(table: str, rows: int) -> None:
    if rows:
        click.echo(f"  {table:16} {rows:>12,} rows")


def _refuse_missing_file(settings: Settings) -> None:
    url = settings.database_url
    path: Path | None = path_of(settings) if not url or url.startswith("sqlite") else None
    if path is not None and not path.is_file():
        raise SettingsError(f"there is no ledger {path}; name the one to copy with --from")
