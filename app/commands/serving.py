"""`lectr serve` and `lectr demo`."""

import asyncio
import gc
import os
import secrets
import socket
import sys
from collections.abc import Callable

import click
import msgspec

from app.asgi import REGISTRY_DIR, create_app
from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.commands.launched import lectr_command
from app.commands.logs import start_logging
from app.commands.place import console_url, keep_address, listening_socket, refuse_ephemeral_disk
from app.commands.running import ledger, sentences, settings_from_env
from app.commands.workers import run_workers
from app.demo.build import build, make_keys
from app.demo.folder import Plan, claim_folder, demo_folder, is_demo_folder
from app.demo.serving import serving, settings_for_demo
from app.demo.standin import StandIn
from app.edge.server import LectrServer, server_config
from app.errors import LedgerAway, SettingsError
from app.ledger.clock import now_us
from app.ledger.database import Database
from app.ledger.keys import KeyStore
from app.ledger.recall import knows_last_state
from app.ledger.users import UserStore
from app.settings import Settings

EXAMPLE_MODEL = "gpt-6-luna"
_LISTEN = (
    click.option("--host", help="Address to listen on; HOST."),
    click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; PORT."),
)


@click.command()
@_LISTEN[0]
@_LISTEN[1]
@click.option("--workers", type=click.IntRange(min=1), help="Server processes; LECTR_WORKERS.")
@click.option("--first-steps", is_flag=True, help="Print sign-in, key and curl even where nobody sits at a terminal.")
def serve(host: str | None, port: int | None, workers: int | None, first_steps: bool) -> None:
    """Start Lectr."""
    with sentences():
        settings = _overridden(settings_from_env(), host=host, port=port, workers=workers)
        refuse_ephemeral_disk(settings, os.environ)
        catalog = load_catalog(REGISTRY_DIR)
        if is_demo_folder(settings.data_dir):
            raise SettingsError(
                f"{settings.data_dir} holds the demo's invented rows; set LECTR_DATA_DIR to another folder"
            )
        with listening_socket(settings) as listener:
            settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
            click.echo(asyncio.run(_first_look(settings, shows_secrets=first_steps or sys.stdout.isatty())))
            run_server(settings, listener, catalog)


@click.command(short_help="Start with sample traffic, in its own folder.")
@click.option("--rows", type=click.IntRange(min=1), help="Sample requests to build; 20,000 unless set.")
@_LISTEN[0]
@_LISTEN[1]
def demo(rows: int | None, host: str | None, port: int | None) -> None:
    """Start Lectr in a folder of its own, with sample traffic and a built-in provider. Any provider key works."""
    with sentences():
        settings = _overridden(settings_from_env(), host=host, port=port)
        settings = msgspec.structs.replace(settings, data_dir=demo_folder(os.environ), workers=1)
        catalog = load_catalog(REGISTRY_DIR)
        with listening_socket(settings) as listener:
            settings = msgspec.structs.replace(settings, port=listener.getsockname()[1])
            plan = claim_folder(settings.data_dir, rows, now_us())
            with serving(StandIn()) as address:
                settings = settings_for_demo(settings, address)
                click.echo(asyncio.run(_prepare_demo(settings, plan, catalog)))
                run_server(settings, listener, catalog)


async def _prepare_demo(settings: Settings, plan: Plan, catalog: Catalog) -> str:
    """Build the sample traffic and the keys, and say how to look at them. Raises LedgerError."""
    async with ledger(settings) as database:
        await build(database, catalog, settings.data_dir, plan, _progress(plan.rows))
        key = await make_keys(KeyStore(database))
        return _demo_words(settings, key, await _sign_in_link(settings, database))


def run_server(settings: Settings, listener: socket.socket, catalog: Catalog) -> None:
    """Serve until SIGTERM or SIGINT, in as many processes as the settings say."""
    keep_address(settings)
    if settings.workers > 1:
        run_workers(settings.workers, lambda: _serve_one(settings, listener, catalog))
    else:
        _serve_one(settings, listener, catalog)


def _serve_one(settings: Settings, listener: socket.socket, catalog: Catalog) -> None:
    log_listener = start_logging()
    try:
        app = create_app(settings, catalog=catalog)
        server = LectrServer(server_config(app, settings), app.drain, settings.drain_timeout_s)
        if gc.isenabled():
            gc.collect()
        gc.freeze()
        # At the usual 700 a request in flight is looked through again and again: 8 % of all CPU under load.
        gc.set_threshold(20_000, 20, 50)
        gc.enable()
        server.run(sockets=[listener])
        if not server.started:
            sys.exit(3)
    finally:
        log_listener.stop()


async def _first_look(settings: Settings, *, shows_secrets: bool) -> str:
    """As `_prepare`; where the database server is away, what that means, since Lectr starts all the same.

    Raises LedgerError, also where the server is there and refuses, unless it is known to have let Lectr in before.
    """
    try:
        return await _prepare(settings, shows_secrets=shows_secrets)
    except LedgerAway as error:
        kept = knows_last_state(settings)
        if error.refused and not kept:
            raise
        now = "requests are served with the keys known last" if kept else "until it answers, requests get 503"
        return (
            f"Lectr is at {console_url(settings)}\n"
            f"{error}. Lectr starts all the same: {now}, and what is recorded waits in the spool."
        )


async def _prepare(settings: Settings, *, shows_secrets: bool) -> str:
    """Open (and migrate) the ledger before the server does, and say what a newcomer needs. Raises LedgerError."""
    async with ledger(settings, mends=True) as database:
        users, keys = UserStore(database), KeyStore(database)
        if settings.admin_password:
            await users.keep_admin(settings.admin_password)
        if await keys.list() or not shows_secrets:
            return _later_words(settings, any_key=bool(await keys.list()))
        secret, _ = await keys.create("first")
        return _first_words(settings, secret, await _sign_in_link(settings, database))


async def _sign_in_link(settings: Settings, database: Database) -> str:
    users = UserStore(database)
    if await users.count() == 0:
        await users.create("admin", secrets.token_urlsafe(32))
    names = [user.name for user in await users.list() if user.role == "admin"]
    token = await users.create_link("admin" if "admin" in names else names[0])
    return f"{console_url(settings)}/sign-in/link/{token}"


def _first_words(settings: Settings, key: str, link: str) -> str:
    signing = "user admin with LECTR_ADMIN_PASSWORD, or once" if settings.admin_password else "once, within 15 minutes"
    return "\n".join(
        (
            f"Lectr is at {console_url(settings)}",
            f"Sign in ({signing}): {link}",
            f"First key, shown this once: {key}",
            "Try it with your provider key in it:",
            "",
            _curl(settings, key, "$OPENAI_API_KEY"),
            "",
        )
    )


def _later_words(settings: Settings, *, any_key: bool) -> str:
    key = "A new key" if any_key else "There is no key yet. A key"
    return "\n".join(
        (
            f"Lectr is at {console_url(settings)}",
            f"{key}: {lectr_command('keys create NAME')}",
            f"A sign-in link: {lectr_command('users link')}",
        )
    )


def _demo_words(settings: Settings, key: str, link: str) -> str:
    return "\n".join(
        (
            f"Lectr's demo is at {console_url(settings)}; its traffic is invented, its provider is built in.",
            f"Sign in (once, within 15 minutes): {link}",
            f"Key for this demo: {key}",
            "Try it; any provider key works:",
            "",
            _curl(settings, key, "sk-anything"),
            "",
        )
    )


def _curl(settings: Settings, key: str, provider_key: str) -> str:
    body = f'{{"model": "{EXAMPLE_MODEL}", "messages": [{{"role": "user", "content": "Say hello"}}]}}'
    return (
        f"curl {console_url(settings)}/v1/chat/completions \\\n"
        f'  -H "X-Lectr-Key: {key}" \\\n'
        f'  -H "Authorization: Bearer {provider_key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )


def _progress(rows: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        click.echo(f"\r{done:,} of {rows:,} sample requests", nl=done >= rows, err=True)

    return tell


def _overridden(settings: Settings, **given: object) -> Settings:
    return msgspec.structs.replace(settings, **{name: value for name, value in given.items() if value is not None})
