"""`lectr keys` and `lectr users`: who may send requests, and who may look."""

import secrets
import shlex
from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

import click

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from app.commands.launched import lectr_command
from app.commands.place import served_address
from app.commands.running import command, ledger, settings_from_env
from app.errors import NotFoundError, SettingsError
from app.ledger.keys import KeyRow, KeyStore
from app.ledger.users import MIN_PASSWORD_CHARACTERS, UserStore

_WIDEST_NAME = 40


@click.group()
def keys() -> None:
    """Lectr keys: create, list, revoke."""


@keys.command("create")
@click.argument("name")
@click.option("--provider", help="Provider of requests whose header names none.")
@click.option("--feature", help="Feature of requests whose header names none.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Limit; none unless set.")
@click.option("--streams", type=click.IntRange(min=1), help="Streams at once; no limit unless set.")
@command
async def create(
    name: str, provider: str | None, feature: str | None, requests_per_minute: int | None, streams: int | None
) -> None:
    """Make a key and print it, alone on the last line. It is shown this once."""
    known = load_catalog(REGISTRY_DIR).providers
    if provider is not None and provider.lower() not in known:
        raise SettingsError(f"there is no provider {provider!r}; there are {', '.join(known)}")
    async with ledger() as database:
        secret, _ = await KeyStore(database).create(
            name,
            provider=provider.lower() if provider else None,
            feature=feature,
            requests_per_minute=requests_per_minute,
            streams=streams,
        )
    click.echo(f"Key {name!r}, shown this once; send it as X-Lectr-Key:")
    click.echo(secret)


@keys.command("list")
@command
async def list_keys() -> None:
    """All keys with their defaults and limits; never their secrets."""
    async with ledger() as database:
        rows = await KeyStore(database).list()
    if not rows:
        click.echo(f"No keys yet. `{lectr_command('keys create NAME')}` makes one.")
        return
    for line in _table(rows):
        click.echo(line)


def _table(rows: Sequence[KeyRow]) -> Iterator[str]:
    """The keys in columns as wide as their names; a long name has its own line, whole: `revoke` wants it so."""
    width = max(len("name"), *(taken for row in rows if (taken := _columns(row.name)) <= _WIDEST_NAME), 0)
    yield f"{'name':{width}}  ends in  state    provider   a minute  streams  feature"
    for row in rows:
        state = "revoked" if row.revoked_at_us else "active"
        limits = f"{row.requests_per_minute or '-':>8}  {row.concurrent_streams or '-':>7}"
        provider, feature = row.default_provider or "-", row.default_feature or "-"
        name, gap = row.name, " " * (width - _columns(row.name))
        if _columns(name) > width:
            yield name
            name, gap = "", " " * width
        yield f"{name}{gap}  …{row.hint:6}  {state:7}  {provider:9}  {limits}  {feature}"


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(one) in "WF" else not combining(one) for one in text)


@keys.command("revoke")
@click.argument("name")
@command
async def revoke(name: str) -> None:
    """End a key: within one second no process takes it any more."""
    async with ledger() as database:
        await KeyStore(database).revoke(name)
    click.echo(f"Key {name!r} is revoked.")


@click.group()
def users() -> None:
    """People who may open the console."""


def _long_enough(password: str) -> None:
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise SettingsError(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")


@users.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(["admin", "viewer"]), default="admin", show_default=True)
@click.password_option(help="10 characters or more; asked for if not given.")
@command
async def create_user(name: str, role: str, password: str) -> None:
    """Make a user with a password."""
    _long_enough(password)
    async with ledger() as database:
        await UserStore(database).create(name, password, role)
    click.echo(f"User {name!r} ({role}) is made.")


@users.command("passwd")
@click.argument("name")
@click.password_option(help="10 characters or more; asked for if not given.")
@command
async def set_password(name: str, password: str) -> None:
    """Change a password; all sessions of the user end."""
    _long_enough(password)
    async with ledger() as database:
        await UserStore(database).set_password(name, password)
    click.echo(f"The password of {name!r} is changed.")


@users.command("link")
@click.argument("name", default="admin")
@command
async def link(name: str) -> None:
    """Print a one-time sign-in link, good for 15 minutes; the user `admin` is made if there is nobody yet."""
    settings = settings_from_env()
    async with ledger(settings) as database:
        store = UserStore(database)
        if name == "admin" and await store.count() == 0:
            await store.create(name, secrets.token_urlsafe(32))
        try:
            token = await store.create_link(name)
        except NotFoundError:
            made = lectr_command("users create", shlex.quote(name))
            raise NotFoundError(f"there is no user {name!r}; `{made}` makes one") from None
    click.echo(f"{served_address(settings)}/sign-in/link/{token}")
