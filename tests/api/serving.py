"""The real Lectr on a real port, in a thread, with rows in its ledger and the stand-in behind it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from app.asgi import create_app
from app.demo.serving import base_urls
from app.domain import LedgerEntry
from app.edge.server import LectrServer, server_config
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.team import TeamStore
from app.settings import Settings
from tests import canaries
from tests.postgres import database_url

TOKEN = canaries.API_ADMIN
_STARTS_WITHIN_S = 20.0


class Lectr(msgspec.Struct):
    """A running Lectr: `key` is a Lectr key, `admin` sends the admin token."""

    url: str
    settings: Settings
    key: str
    admin: httpx.Client

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.admin.get(path, params=parameters or None)

    def json(self, path: str, **parameters: Any) -> Any:
        """The document of a 200."""
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def program(self, **headers: str) -> httpx.Client:
        """A program that has a Lectr key and a provider key."""
        sent = {"x-lectr-key": self.key, "authorization": "Bearer any", **headers}
        return httpx.Client(base_url=self.url, headers=sent, timeout=20)

    def row(self, answer: httpx.Response) -> dict[str, Any]:
        """The row of an answer; it may take a second to be there."""
        path = f"/api/requests/{answer.headers['x-lectr-request-id']}"
        wait_until(lambda: self.get(path).status_code == 200)
        return dict(self.json(path))


def settings_for(folder: Path, upstream: str = "http://127.0.0.1:9", **changed: Any) -> Settings:
    """Settings whose five providers are all at one address, and nothing of this machine's environment."""
    urls = base_urls(upstream)
    named = {f"{name}_base_url": url for name, url in urls.items() if name != "azure"}
    values = {
        "data_dir": folder,
        "database_url": database_url(folder),
        "admin_token": TOKEN,
        "allow_private_upstreams": True,
        "azure_endpoint": urls["azure"],
    }
    return Settings(**{**values, **named, **changed})


async def _furnish(settings: Settings, entries: Sequence[LedgerEntry], zone: str | None) -> str:
    database = await open_database(settings)
    try:
        await insert_many(database, entries)
        if zone is not None:
            await TeamStore(database).set("reporting_zone", zone)
        secret, _ = await KeyStore(database).create("tests")
        return secret
    finally:
        await database.close()


@contextmanager
def serving_lectr(
    settings: Settings, entries: Sequence[LedgerEntry] = (), *, zone: str | None = None
) -> Iterator[Lectr]:
    """Serve until the block ends; the ledger holds `entries` before the start."""
    key = asyncio.run(_furnish(settings, entries, zone))
    with (
        serving_app(settings) as url,
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {settings.admin_token}"}, timeout=20) as admin,
    ):
        yield Lectr(url, settings, key, admin)


@contextmanager
def serving_app(settings: Settings, **built_with: Any) -> Iterator[str]:
    """Serve these settings as `lectr serve` does; gives the address."""
    app = create_app(settings, **built_with)
    server = LectrServer(server_config(app, settings), app.drain, 1.0)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), name="lectr", daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), within_s=_STARTS_WITHIN_S)
    assert server.started, "Lectr did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive(), "Lectr did not stop"


def wait_until(holds: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Returns as soon as it holds; fails after the time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.01)
