"""`lectr reprice`, `backup`, `restore`: work on the ledger."""

from datetime import UTC, datetime
from pathlib import Path

import click

from app.commands.running import command, ledger, settings_from_env, whole
from app.domain import usd_text
from app.ledger.maintenance import restore
from app.operations.box import make_backup


@click.command(short_help="Price rows again with today's registry.")
@click.option("--all", "everything", is_flag=True, help="Other rows too, not only those without a price.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only rows from this day (UTC) on.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@command
async def reprice(everything: bool, since: datetime | None, dry_run: bool) -> None:
    """Price rows again with today's registry, each at the prices of its own day."""
    async with whole() as services:
        report = await services.reprice.run(since.replace(tzinfo=UTC) if since else None, everything, dry_run)
    would = "would change" if dry_run else "changed"
    click.echo(
        f"{report.looked_at:,} rows looked at, {report.changed:,} {would}: "
        f"${usd_text(report.cost_before_picousd)} before, ${usd_text(report.cost_after_picousd)} after."
    )


@click.command(short_help="Copy the ledger while requests go on.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@command
async def backup(file: Path | None) -> None:
    """Copy the ledger into FILE (or the data folder's `backups`) while requests go on."""
    settings = settings_from_env()
    async with ledger(settings) as database:
        made = await make_backup(database, settings.data_dir, file, _now_us())
    click.echo(str(made))


@click.command("restore", short_help="Put a backup in the ledger's place.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@command
async def restore_backup(file: Path) -> None:
    """Put a backup in the ledger's place, after proving that it is whole. Stop Lectr first."""
    counts, kept = await restore(file, settings_from_env())
    click.echo(f"Restored: {counts.requests:,} requests, every sum equal to its rows.")
    if kept is not None:
        click.echo(f"What was there is kept as {kept}; delete it when you have looked at what is there now.")


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)
