"""Doctor: one tiny request to a provider, its cost said first, and what it showed."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Provider
from app.domain import Headers, InboundRequest, KeyIdentity, new_request_id, usd_text
from app.errors import NotFoundError, RequestRejected
from app.record import Record
from app.settings import Settings
from app.upstream.formats import FORMAT_BY_ENDPOINT, RequestFacts, read_request

DOCTOR_KEY = KeyIdentity(0, "lectr doctor")
_DOCTOR_TOKENS = 16
"""More than the prompt has, and the most the answer may have."""


class DoctorStep(msgspec.Struct, frozen=True):
    """One thing `doctor` looked at: `ok` None means that it is neither well nor wrong, and `detail` says why."""

    name: str
    ok: bool | None
    detail: str


class DoctorReport(msgspec.Struct, frozen=True):
    """What one tiny request to a provider showed. `expected_cost_usd` is at most what it costs, known beforehand."""

    provider: str
    model: str
    expected_cost_usd: str
    steps: tuple[DoctorStep, ...] = ()

    @property
    def ok(self) -> bool:
        """True if every step that was looked at went well."""
        return all(step.ok is not False for step in self.steps)


class RunsRequests(Protocol):
    """The pipeline, as operations see it."""

    async def run(self, record: Record, facts: RequestFacts) -> None: ...
    async def reject(self, record: Record, rejected: RequestRejected) -> None: ...


class _Listener:
    """The caller's side of a request that Lectr makes itself."""

    def __init__(self) -> None:
        self.left = False
        self.started = False
        self.waited_ns = 0
        self.status = 0

    def watch(self) -> None:
        """Nobody can leave."""

    async def start(self, status: int, headers: Headers) -> None:
        """Keep the status."""
        self.started, self.status = True, status

    async def write(self, chunk: bytes) -> None:
        """The answer's text is not looked at."""

    async def end(self, chunk: bytes = b"") -> None:
        """Nor kept."""


class Doctor:
    """Sends one tiny streamed request to a provider, and tells what came of it. It has a row like any other."""

    def __init__(
        self, settings: Settings, catalog: CatalogHolder, pipeline: RunsRequests, clock: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._pipeline = pipeline
        self._clock = clock

    def plan(self, provider_id: str, model: str | None = None) -> DoctorReport:
        """What would be sent and what it costs at most. Raises NotFoundError for no such provider or living model."""
        catalog = self._catalog.current
        if provider_id not in catalog.providers:
            raise NotFoundError(f"no provider {provider_id!r}; there are {', '.join(catalog.providers)}")
        today = datetime.fromtimestamp(self._clock() / 1e6, UTC).date()
        costs = _living_costs(catalog, provider_id, today)
        name = model or min(costs, key=lambda found: (costs[found], found), default=None)
        if name is None:
            raise NotFoundError(f"the registry has no living, priced chat model of {provider_id}")
        return DoctorReport(provider_id, name, f"{costs[name].normalize():f}" if name in costs else "unknown")

    async def examine(self, provider_id: str) -> DoctorReport:
        """Plan and run. Raises NotFoundError as plan does; what the provider does is in the steps."""
        return await self.run(self.plan(provider_id))

    async def run(self, plan: DoctorReport) -> DoctorReport:
        """Send it with the box's own key."""
        provider = self._catalog.current.providers[plan.provider]
        if not self._settings.provider_value(provider.key_setting):
            detail = f"this box holds no key for {provider.name}: start Lectr with {provider.key_setting}"
            return _with_steps(plan, DoctorStep("key", False, detail))
        request, listener = self._request(plan, provider), _Listener()
        record = Record(request, listener, time.perf_counter_ns())
        facts = read_request(FORMAT_BY_ENDPOINT[request.endpoint], request.endpoint, request.body)
        try:
            await self._pipeline.run(record, facts)
        except RequestRejected as rejected:
            await self._pipeline.reject(record, rejected)
            return _with_steps(plan, DoctorStep("connection", False, rejected.message))
        return _with_steps(plan, *_findings(record, listener.status, provider))

    def _request(self, plan: DoctorReport, provider: Provider) -> InboundRequest:
        messages = "messages" in provider.endpoints and provider.id != "azure"
        body = {
            "model": plan.model,
            "messages": [{"role": "user", "content": "Reply with the word ok."}],
            "max_tokens" if messages else "max_completion_tokens": _DOCTOR_TOKENS,
            "stream": True,
        }
        started_at_us = self._clock()
        return InboundRequest(
            id=new_request_id(started_at_us),
            started_at_us=started_at_us,
            method="POST",
            path="/v1/messages" if messages else "/v1/chat/completions",
            query="",
            endpoint="messages" if messages else "chat.completions",
            headers=[(b"content-type", b"application/json"), (b"accept", b"text/event-stream")],
            body=msgspec.json.encode(body),
            key=DOCTOR_KEY,
            model=plan.model,
            stream=True,
            feature="doctor",
            provider_header=plan.provider,
        )


def _with_steps(plan: DoctorReport, *steps: DoctorStep) -> DoctorReport:
    return msgspec.structs.replace(plan, steps=steps)


def _living_costs(catalog: Catalog, provider_id: str, today: date) -> dict[str, Decimal]:
    """What the doctor's request costs at most, in dollars, by each living, priced chat model of a provider."""
    borrowed = catalog.providers[provider_id].catalog_from
    costs: dict[str, Decimal] = {}
    for model in catalog.models:
        # One that can call tools talks: this leaves out classifiers that answer on the chat endpoint.
        if model.provider not in (provider_id, *borrowed[:1]) or model.mode != "chat" or not model.capabilities.tools:
            continue
        match = catalog.price_at(provider_id, model.id, today)
        if match is None or not model.lifecycle.alive_on(today):
            continue
        rates = match.price.rates
        if "input_mtok" in rates and "output_mtok" in rates:
            costs[model.id] = _DOCTOR_TOKENS * (rates["input_mtok"] + rates["output_mtok"]) / 1_000_000
    return costs


def _findings(record: Record, status: int, provider: Provider) -> tuple[DoctorStep, ...]:
    reply = record.reply
    if status in (401, 403):
        return (DoctorStep("key", False, f"{provider.name} refused the key in {provider.key_setting} ({status})"),)
    key = DoctorStep("key", True, f"{provider.name} took the key in {provider.key_setting}")
    if not 200 <= status < 300:
        why = f": {reply.provider_error}" if reply.provider_error else ""
        return key, DoctorStep("answer", False, f"{provider.name} answered {status}{why}")
    answer = DoctorStep("answer", True, f"{status} from {reply.response_model or record.request.model}")
    counted = reply.usage is not None
    usage = DoctorStep("streaming usage", counted, "came with the stream" if counted else "did not come")
    priced = record.cost_picousd is not None
    cost = f"${usd_text(record.cost_picousd)}" if record.cost_picousd is not None else "no price is known"
    return key, answer, usage, DoctorStep("price", priced, cost)
