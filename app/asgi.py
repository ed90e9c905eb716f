"""create_app(): the only place where things are built and joined.

Everything is built when the server starts, nothing at import. Tests replace one object: the httpx transport.
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from app import api, console
from app.api.document import openapi_config
from app.api.failures import api_error
from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.load import load_catalog
from app.console.caller import is_https
from app.console.failures import error_page
from app.console.security import CONSOLE_HEADERS, HSTS_HEADER
from app.counters import Counters
from app.edge.drain import Drain
from app.edge.error_bodies import error_body
from app.edge.health import health
from app.edge.outer import App, Outer
from app.edge.refusals import base_url, not_found
from app.edge.routes import ProgramRoute, make_route
from app.errors import ConflictError, LedgerAway, RequestRejected
from app.ledger.care import Caretaker
from app.ledger.changes import KEYS, TEAM, ChangeFeed
from app.ledger.clock import now_us
from app.ledger.database import Database, open_database
from app.ledger.journal import Journal
from app.ledger.keys import KeyStore
from app.ledger.recall import recall
from app.ledger.sessions import SessionStore
from app.ledger.team import TeamStore
from app.ledger.users import UserStore
from app.ledger.writer import LedgerWriter
from app.operations.advice import AdviceEngine
from app.operations.advice_desk import AdviceDesk
from app.operations.box import kept_secret, make_backup
from app.operations.doctor import Doctor
from app.operations.in_force import catalog_in_force
from app.operations.reprice import Reprice
from app.pipeline import Pipeline
from app.record import interrupted_entry
from app.services import Services
from app.settings import Settings
from app.upstream.client import UpstreamClient
from app.upstream.transport import PooledTransport

log = logging.getLogger("lectr")

REGISTRY_DIR = Path(__file__).resolve().parents[1] / "registry"
VERSION = "0.1.0"
_PROGRAM_PATHS = ("/openai/", "/v1", "/chat/", "/completions", "/responses", "/embeddings", "/messages")


def create_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], int] = now_us,
    registry_dir: Path = REGISTRY_DIR,
    catalog: Catalog | None = None,
) -> Outer:
    """The whole of Lectr as one ASGI application; `catalog` is that of the registry, where it has been read already.

    Raises RegistryError for a registry that is wrong; a database that cannot be opened fails at start-up (LedgerError).
    """
    registered = load_catalog(registry_dir) if catalog is None else catalog
    drain = Drain()
    route = ProgramRoute(drain)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with running(settings, registered, transport, clock, serves=True) as (services, pipeline):
            app.state.services, app.state.drain = services, drain
            route.services, route.pipeline = services, pipeline
            yield

    def services_of(state: State) -> Services:
        return state.services  # type: ignore[no-any-return]

    litestar = Litestar(
        route_handlers=[make_route(route), _health, *api.routes(), *console.routes()],
        dependencies={"services": Provide(services_of, sync_to_thread=False)},
        exception_handlers={HTTPException: _failure, Exception: _failure},
        lifespan=[lifespan],
        logging_config=None,
        debug=False,
        openapi_config=openapi_config(VERSION),
    )
    marks = {"x-lectr-demo": "1"} if settings.demo else {}
    return Outer(
        cast(App, litestar),
        drain,
        CONSOLE_HEADERS,
        HSTS_HEADER,
        lambda scope: is_https(Request(scope), settings),
        marks,
        _programs_of(litestar),
    )


def _programs_of(litestar: Litestar) -> App:
    """What Litestar routes everything under /v1 to. Asked once: to ask for each request costs it 23 of 127 us."""
    _, handler, *_ = litestar.asgi_router.handle_routing(path="/v1/chat/completions", method="POST")
    return cast(App, handler.fn)


def from_env() -> Outer:
    """create_app with the settings of the environment, for one of several server processes."""
    return create_app(Settings.from_env(os.environ))


@asynccontextmanager
async def running(
    settings: Settings,
    catalog: Catalog,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], int] = now_us,
    serves: bool = False,
) -> AsyncIterator[tuple[Services, Pipeline]]:
    """Everything that runs while Lectr runs, without the web: the CLI uses it too. Raises LedgerError.

    One that `serves` also begins while the database server is away, with what it knew last."""
    database = await open_database(settings, mends=True)
    feed = ChangeFeed(database)
    holder = CatalogHolder(catalog)
    keys, team = KeyStore(database, feed), TeamStore(database, feed)
    journal = _journal(settings, database, holder)
    ledger = LedgerWriter(database, lambda: team.values.reporting_zone, journal=journal)
    counters = Counters()
    upstream = UpstreamClient(transport or PooledTransport(allow_private=settings.allow_private_upstreams), settings)
    pipeline = Pipeline(settings, holder, ledger, team, upstream, counters, clock)
    doctor = Doctor(settings, holder, pipeline, clock)

    async def refresh_catalog() -> None:
        holder.current = catalog_in_force(catalog, team, holder.current)

    services = Services(
        settings=settings,
        catalog=holder,
        database=database,
        ledger=ledger,
        care=Caretaker(database, ledger.write_again, counters, lambda: team.values.retention_days),
        keys=keys,
        users=UserStore(database),
        sessions=SessionStore(database),
        team=team,
        admin_token=settings.admin_token or kept_secret(settings.data_dir, "admin-token"),
        secret=(settings.secret or kept_secret(settings.data_dir, "secret")).encode(),
        version=VERSION,
        counters=counters,
        doctor=doctor.examine,
        plan_doctor=doctor.plan,
        advice=AdviceDesk(AdviceEngine(database, holder, clock), database, holder, clock),
        reprice=Reprice(database, holder),
        backup=lambda path: make_backup(database, settings.data_dir, path, clock()),
        refresh_catalog=refresh_catalog,
        clock=clock,
        started_at_us=clock(),
    )
    await _learn(services, feed, serves=serves)
    async with _at_work(upstream, feed, services):
        yield services, pipeline


async def _learn(services: Services, feed: ChangeFeed, *, serves: bool) -> None:
    """Read keys and settings, and from now on whenever they change. Raises LedgerError."""
    try:
        await services.keys.load()
        await services.team.load()
    except LedgerAway:
        if not serves:
            raise
        await recall(services.database, services.keys, services.team)
    await services.refresh_catalog()
    feed.subscribe(TEAM, services.refresh_catalog)
    for kind in (KEYS, TEAM):
        feed.subscribe(kind, services.care.copy_soon)
    if serves and services.settings.admin_password and services.database.path is None:
        feed.subscribe(KEYS, _first_password(services.users, services.settings.admin_password))


def _first_password(users: UserStore, password: str) -> Callable[[], Awaitable[None]]:
    """Gives `admin` this password as soon as the database answers: at the start it may have been away."""
    kept = False

    async def keep() -> None:
        nonlocal kept
        if not kept:
            try:
                await users.keep_admin(password)
            except ConflictError as error:
                log.error("LECTR_ADMIN_PASSWORD is not used: %s", error)
            kept = True

    return keep


def _journal(settings: Settings, database: Database, catalog: CatalogHolder) -> Journal:
    return Journal(
        settings.data_dir / "spool",
        database,
        lambda started: interrupted_entry(started, catalog.current),
        sync_first=settings.ledger_sync == "full",
    )


@asynccontextmanager
async def _at_work(upstream: UpstreamClient, feed: ChangeFeed, services: Services) -> AsyncIterator[None]:
    services.ledger.start()
    feed.start()
    services.advice.engine.start()
    services.care.start()
    try:
        yield
    finally:
        await upstream.close()
        await services.care.stop()
        await services.ledger.stop()
        await feed.stop()
        await services.advice.engine.close()
        await services.database.close()


@get("/health", sync_to_thread=False, security=[{}])
def _health(state: State) -> Response[dict[str, Any]]:
    """Open to all, numbers only: `status` ok or degraded; 503 while the process drains."""
    status, document = health(state.services, draining=state.drain.draining)
    return Response(document, status_code=status)


def _failure(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """404, 405, 500 and the rest, in the form that fits whoever asked."""
    path = request.scope["path"]
    if path.startswith("/api/"):
        return api_error(request, error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    wants_page = "text/html" in request.headers.get("accept", "")
    if status in (404, 405) and (path.startswith(_PROGRAM_PATHS) or not wants_page):
        base = base_url(request.scope, request.app.state.services.settings)
        body = error_body(not_found(path, base), path)
        return Response(body, status_code=404, media_type="application/json")
    if path.startswith("/v1/"):
        # The framework itself refuses a Host field that names no host.
        detail = error.detail if isinstance(error, HTTPException) else "Lectr failed at this request."
        body = error_body(RequestRejected(status, "invalid_request", detail), path)
        return Response(body, status_code=status, media_type="application/json")
    return error_page(request, error)
