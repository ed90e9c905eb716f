"""`/v1/…` for programs: one mounted ASGI route, since a plain handler costs twice the CPU of a request.

The mount also matches `/v1evil` and decodes `%2F`, so the raw path is what decides here.
"""

import asyncio
import logging
import time
from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.domain import Headers, InboundRequest
from app.edge import auth, models, refusals
from app.edge.client import WIRE, Client, ClientGone, Receive, Send
from app.edge.drain import Drain
from app.edge.error_bodies import error_body, error_headers
from app.edge.goodbye import say_goodbye
from app.edge.inbound import apply_path, body_limit, inbound_request, read_facts
from app.edge.limits import KeyLimits
from app.edge.paths import read_path
from app.errors import RequestRejected
from app.pipeline import Pipeline
from app.record import Record
from app.services import Services
from app.upstream.formats import RequestFacts

log = logging.getLogger("lectr.edge")

_REALTIME = "/v1/realtime/"
_NO_METHODS = ("TRACE", "CONNECT")
_NOTHING: dict[str, Any] = {}


class ProgramRoute:
    """Answers every request under `/v1/`. `services` and `pipeline` are None until the process has started."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.services: Services | None = None
        self.pipeline: Pipeline | None = None
        self.limits = KeyLimits(time.monotonic)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        started_ns = time.perf_counter_ns()
        services, pipeline = self.services, self.pipeline
        path = scope["raw_path"].decode("latin-1")
        if services is None or pipeline is None:
            await refuse(Client(receive, send, body_timeout_s=1.0), refusals.starting(), path)
            return
        wire = scope.get("extensions", _NOTHING).get(WIRE)
        client = Client(receive, send, body_timeout_s=services.settings.client_body_timeout_s, wire=wire)
        if not path.startswith("/v1/"):
            await refuse(client, refusals.not_found(path, refusals.base_url(scope, services.settings)), path)
            return
        if not services.keys.ready:
            await refuse(client, refusals.starting(), path)
            return
        caller = auth.read_headers(scope["headers"])
        if b"content-length" not in caller.fields and b"transfer-encoding" not in caller.fields:
            client.body_done = True
        key = services.keys.find(caller.lectr_key) if caller.lectr_key else None
        if key is None or caller.repeated == b"x-lectr-key":
            services.counters.without_valid_key += 1
            await refuse(client, auth.refusal(caller), path)
            return
        request = inbound_request(scope, caller, key, services.clock())
        services.keys.used(key.id, request.started_at_us)
        services.counters.in_flight += 1
        try:
            await self._serve(scope, caller, request, client, services, pipeline, started_ns)
        finally:
            services.counters.in_flight -= 1

    async def _serve(
        self,
        scope: Any,
        caller: auth.Caller,
        request: InboundRequest,
        client: Client,
        services: Services,
        pipeline: Pipeline,
        started_ns: int,
    ) -> None:
        record = Record(request, client, started_ns)
        task = self.drain.enter()
        try:
            await self._answer(scope, caller, record, client, services, pipeline)
        except RequestRejected as rejected:
            client.unwatch()
            await pipeline.reject(record, rejected)
            await refuse(client, rejected, request.path, record.headers())
        except ClientGone:
            pipeline.leave(record)
        except asyncio.CancelledError:
            if client.left or not self.drain.draining:
                pipeline.leave(record)
            if task is None or not (client.left or self.drain.draining):
                raise
            task.uncancel()
            if not client.left:
                await say_goodbye(record, client, pipeline)
        except Exception:
            log.exception("request %s failed in Lectr", request.id)
            services.counters.unexpected_errors += 1
            await pipeline.reject(record, refusals.internal_error())
            if not client.started:
                await refuse(client, refusals.internal_error(), request.path, record.headers())
        finally:
            client.unwatch()
            self.drain.leave(task)

    async def _answer(
        self,
        scope: Any,
        caller: auth.Caller,
        record: Record,
        client: Client,
        services: Services,
        pipeline: Pipeline,
    ) -> None:
        request = record.request
        if caller.repeated is not None:
            raise auth.sent_twice(caller.repeated)
        apply_path(request, read_path(request.method, scope["raw_path"], scope["query_string"]))
        if self.drain.draining:
            raise refusals.draining()
        if b"websocket" in caller.fields.get(b"upgrade", b"").lower() or f"{request.path}/".startswith(_REALTIME):
            raise refusals.websocket()
        if request.method in _NO_METHODS:
            raise refusals.no_method(request.method)
        if request.method in ("GET", "HEAD") and models.covers(request.path):
            record.discard()
            await models.answer_models(services, client, request.path, scope["query_string"], caller.fields)
            return
        self.limits.take_request(request.key)
        limit_bytes = body_limit(request, caller, services.settings.max_body_mb)
        if request.path.startswith("/v1/files") and request.method == "POST":
            await pipeline.run(record, RequestFacts(), upload=client.read_chunks(limit_bytes))
            return
        request.body = await client.read_body(limit_bytes)
        client.watch()
        facts = read_facts(request, caller)
        if not request.stream:
            await pipeline.run(record, facts)
            return
        with self.limits.stream(request.key):
            await pipeline.run(record, facts)


def make_route(route: ProgramRoute) -> ASGIRouteHandler:
    """The Litestar handler that hands everything under `/v1` to `route`."""

    @asgi("/v1", is_mount=True, copy_scope=False)
    async def programs(scope: Any, receive: Any, send: Any) -> None:
        await route(scope, receive, send)

    return programs


async def refuse(client: Client, rejected: RequestRejected, path: str, extra: Headers | None = None) -> None:
    body = error_body(rejected, path)
    await client.refuse(rejected.status, error_headers(rejected, body) + (extra or []), body)
