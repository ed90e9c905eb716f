"""A whole Lectr on a free port of this machine, with people, keys and traffic in it, for tests and for looking at.

`python -m tests.console.stage [PORT]` serves it until it is interrupted (admin / viewer, password `correct horse`).
"""

import asyncio
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
import uvicorn

from app.asgi import REGISTRY_DIR, create_app
from app.catalog.load import load_catalog
from app.console import advice
from app.demo.build import build, make_keys
from app.demo.folder import claim_folder
from app.domain import LedgerEntry
from app.ledger.database import open_database
from app.ledger.keys import KeyStore
from app.ledger.users import UserStore
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests import canaries
from tests.console.traffic import forty_days
from tests.postgres import database_url

PATIENCE_S = 20.0
PASSWORD = "correct horse"
NOW_US = time.time_ns() // 1000
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


class Stage(msgspec.Struct):
    """A running Lectr: where it is, and what its ledger held when it started."""

    url: str
    entries: list[LedgerEntry]
    clients: list[httpx.Client] = []

    def visit(self, name: str | None = "admin", **options: object) -> "Visit":
        """A browser without JavaScript; signed in unless `name` is None."""
        visit = Visit(httpx.Client(base_url=self.url, **options))  # type: ignore[arg-type]
        self.clients.append(visit.client)
        if name is not None:
            answer = visit.submit("/sign-in", {"name": name, "password": PASSWORD}, page="/sign-in")
            assert answer.status_code == 303, answer.text
        return visit


class Visit:
    """One browser's cookies. `submit` loads the page with the form first, as a person would."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page, as a browser asks for it."""
        return self.client.get(path, headers={"accept": "text/html", **headers})

    def fragment(self, path: str) -> httpx.Response:
        """What htmx gets when it asks for a part."""
        return self.get(path, **{"hx-request": "true", "hx-request-type": "partial"})

    def csrf(self, page: str) -> str:
        """The token in the forms of a page."""
        found = _CSRF.search(self.get(page).text)
        assert found, f"{page} has no form"
        return found[1]

    def submit(self, path: str, fields: dict[str, str], page: str = "/settings", **headers: str) -> httpx.Response:
        """Send a form that stands on `page`."""
        sent = {"origin": str(self.client.base_url).rstrip("/"), "accept": "text/html", **headers}
        return self.client.post(path, data={"csrf": self.csrf(page), **fields}, headers=sent)


async def _furnish(settings: Settings, requests: int) -> list[LedgerEntry]:
    plan = claim_folder(settings.data_dir, requests, NOW_US) if settings.demo else None
    database = await open_database(settings)
    users, keys = UserStore(database), KeyStore(database)
    await users.create("admin", PASSWORD, "admin")
    await users.create("viewer", PASSWORD, "viewer")
    if plan is not None:
        await make_keys(keys)
        await build(database, load_catalog(REGISTRY_DIR), settings.data_dir, plan)
        await database.close()
        return []
    for name in ("backend", "worker") if requests else ():
        await keys.create(name, feature="tagging" if name == "worker" else None)
    entries = forty_days(load_catalog(REGISTRY_DIR), NOW_US, requests=requests) if requests else []
    writer = LedgerWriter(database, lambda: "UTC")
    writer.start()
    await asyncio.gather(*(writer.hand_over(entry) for entry in entries))
    await writer.stop()
    await database.close()
    return entries


@contextmanager
def running(folder: Path, *, requests: int = 900, port: int = 0, **changed: object) -> Iterator[Stage]:
    """Serve a furnished Lectr from `folder` until the block ends; with `demo=True` it holds the demo's traffic."""
    settings = _settings(folder, changed)
    with ThreadPoolExecutor(1) as thread_of_its_own:  # playwright's sync API keeps a loop running in this one
        entries = thread_of_its_own.submit(asyncio.run, _furnish(settings, requests)).result()
    with serving(folder, port=port, loop="auto", **changed) as url:
        stage = Stage(url, entries)
        try:
            yield stage
        finally:
            for client in stage.clients:
                client.close()


def _settings(folder: Path, changed: dict[str, object]) -> Settings:
    url = database_url(folder)
    given: dict[str, Any] = {"secret": canaries.STAGE_SECRET, "admin_token": canaries.STAGE_ADMIN, **changed}
    return Settings(data_dir=folder, database_url=url, **given)


@contextmanager
def serving(
    folder: Path, *, port: int = 0, loop: Literal["auto", "asyncio"] = "auto", **changed: object
) -> Iterator[str]:
    """Serve what lies in `folder` until the block ends; yields the address. Twice at once is as two processes are."""
    app = create_app(_settings(folder, changed))
    # A test machine may be busy: its pages wait for advice where a person's would say that it is being made.
    advice.WAIT_S = PATIENCE_S
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False, lifespan="on", loop=loop))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the server did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def main() -> None:
    """Serve until interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
        with running(Path(folder), port=port, requests=6000, demo=True) as stage:
            print(stage.url)
            threading.Event().wait()


if __name__ == "__main__":
    main()
