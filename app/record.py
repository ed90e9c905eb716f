"""What is known of one request while it passes, and the ledger row it becomes."""

import time
from datetime import UTC, datetime
from typing import Protocol

from app.catalog.catalog import Catalog
from app.domain import (
    UNMETERED_ENDPOINTS,
    CostReason,
    Detection,
    Headers,
    InboundRequest,
    LedgerEntry,
    Outcome,
    Reply,
    UsageSource,
)
from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError
from app.ledger.hiding import hide_in_row, hide_in_start, telling_parts
from app.ledger.started import Started
from app.metering.cost import cost_of
from app.metering.settle import ENCODED, FREE, Settlement, settle
from app.metering.usage import estimate_usage
from app.upstream.formats import RequestDetail, request_detail

_OUTCOMES: tuple[tuple[type[UpstreamError], Outcome], ...] = (
    (ProviderUnreachable, Outcome.UNREACHABLE),
    (ProviderTimeout, Outcome.UPSTREAM_TIMEOUT),
    (ProviderReset, Outcome.UPSTREAM_RESET),
    (ProviderBadResponse, Outcome.BAD_RESPONSE),
)


class Caller(Protocol):
    """The caller's side, as edge gives it."""

    left: bool
    started: bool
    waited_ns: int

    def watch(self) -> None: ...
    async def start(self, status: int, headers: Headers) -> None: ...
    async def write(self, chunk: bytes) -> None: ...
    async def end(self, chunk: bytes = b"") -> None: ...


class Record:
    """What is known of one request so far; becomes its row."""

    def __init__(self, request: InboundRequest, caller: Caller, started_ns: int) -> None:
        self.request = request
        self.caller = caller
        self.started_ns = started_ns
        self.upstream_wait_ns = 0
        self.first_byte_ns: int | None = None
        self.detection: Detection | None = None
        self.reply = Reply()
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.error_code: str | None = None
        self.error_source: str | None = None
        self.provider_request_id: str | None = None
        self.sent = False
        self.encoded = False
        self.event_stream = False
        self.closed = False
        self.wire_format: str | None = None
        self.cost_picousd: int | None = None
        self.key_sent: str | None = None
        self._telling_parts: list[str] | None = None
        self._detail: RequestDetail | None = None

    def mark_sent(self) -> None:
        """From here on the provider may charge."""
        self.sent = True

    def read_detail(self) -> RequestDetail:
        """Prompt bytes and what the request used; first asked for while the provider works."""
        if self._detail is None:
            self._detail = request_detail(self.wire_format, self.request.endpoint, self.request.body)
        return self._detail

    def telling_parts(self) -> list[str]:
        """What gives the keys of this request away: nothing of it is written down, whatever says it back."""
        if self._telling_parts is None:
            self._telling_parts = telling_parts({*self.request.provider_keys, self.key_sent})
        return self._telling_parts

    @property
    def billable(self) -> bool:
        """True unless the provider takes nothing for it: nothing sent, no 2xx, or an endpoint that is not metered."""
        if not self.sent or self.request.endpoint in UNMETERED_ENDPOINTS:
            return False
        return self.status is None or 200 <= self.status < 300

    def headers(self) -> Headers:
        """What Lectr adds to every answer that has a row."""
        added: Headers = [(b"x-lectr-request-id", self.request.id.encode("ascii"))]
        if self.detection is not None:
            added.append((b"x-lectr-provider", self.detection.provider.encode("ascii")))
        return added

    def discard(self) -> None:
        """This request has no row."""
        self.closed = True


def blame(record: Record, error: UpstreamError) -> None:
    """Note who broke the request and how."""
    record.outcome = next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))
    record.error_code = error.code
    record.error_source = "provider"
    if not error.sent:
        record.sent = False


def build_entry(record: Record, catalog: Catalog, *, whole: bool) -> LedgerEntry:
    """The row of a request. `whole` is False where the answer broke off before its end."""
    request, reply = record.request, record.reply
    detail = record.read_detail()
    settlement = _settle(record, catalog, whole=whole)
    detection, usage, cost = record.detection, settlement.usage, settlement.cost
    flags = (detection.flags if detection else ()) + (usage.flags if usage else ()) + cost.flags
    duration_ns = time.perf_counter_ns() - record.started_ns
    unseen = record.outcome in (Outcome.CLIENT_CLOSED, Outcome.SERVER_SHUTDOWN) and not record.caller.started
    entry = LedgerEntry(
        id=request.id,
        started_at_us=request.started_at_us,
        finished_at_us=request.started_at_us + duration_ns // 1000,
        key=request.key.name,
        provider=detection.provider if detection else None,
        detected_by=detection.detected_by if detection else None,
        flags=tuple(dict.fromkeys(flags)) if flags else (),
        request_model=request.model,
        response_model=reply.response_model or None,
        endpoint=request.endpoint,
        streamed=request.stream,
        status=None if unseen else record.status,
        outcome=record.outcome or _outcome(record),
        error_code=record.error_code or reply.provider_error,
        error_source=record.error_source or ("provider" if reply.provider_error else None),
        duration_ms=duration_ns // 1_000_000,
        overhead_us=max(0, duration_ns - record.upstream_wait_ns - record.caller.waited_ns) // 1000,
        usage_json=settlement.usage_json,
        usage_source=settlement.source,
        service_tier=reply.service_tier,
        billable=record.billable,
        cost_picousd=cost.picousd,
        cost_reason=cost.reason,
        price_entry=cost.price_entry,
        feature=request.feature,
        task=request.task,
        prompt_bytes=detail.prompt_bytes,
        used=detail.used,
        provider_request_id=record.provider_request_id,
    )
    if record.first_byte_ns is not None:
        entry.ttfb_ms = (record.first_byte_ns - record.started_ns) // 1_000_000
    if usage is not None:
        entry.take_counts(usage)
    hide_in_row(entry, record.telling_parts())
    return entry


def bare_entry(record: Record) -> LedgerEntry:
    """The row of a request whose own row could not be made: who asked whom and how it ended, no usage and no cost."""
    request, detection, billable = record.request, record.detection, record.billable
    duration_ns = time.perf_counter_ns() - record.started_ns
    entry = LedgerEntry(
        id=request.id,
        started_at_us=request.started_at_us,
        finished_at_us=request.started_at_us + duration_ns // 1000,
        key=request.key.name,
        provider=detection.provider if detection else None,
        detected_by=detection.detected_by if detection else None,
        request_model=request.model,
        endpoint=request.endpoint,
        streamed=request.stream,
        status=record.status,
        outcome=record.outcome or _outcome(record),
        error_code=record.error_code,
        error_source=record.error_source,
        duration_ms=duration_ns // 1_000_000,
        billable=billable,
        cost_picousd=None if billable else 0,
        cost_reason=CostReason.READER_FAILED if billable else None,
        feature=request.feature,
        task=request.task,
    )
    try:
        hide_in_row(entry, record.telling_parts())
    except Exception:
        # This row is the last resort: what cannot be looked at is left out.
        entry.request_model = entry.error_code = entry.feature = entry.task = None
    return entry


def started_of(record: Record) -> Started:
    """What is known before the request goes out."""
    request, detection, detail = record.request, record.detection, record.read_detail()
    started = Started(
        id=request.id,
        started_at_us=request.started_at_us,
        key=request.key.name,
        provider=detection.provider if detection else None,
        detected_by=detection.detected_by if detection else None,
        flags=detection.flags if detection else (),
        request_model=request.model,
        endpoint=request.endpoint,
        streamed=request.stream,
        feature=request.feature,
        task=request.task,
        prompt_bytes=detail.prompt_bytes,
        used=detail.used,
    )
    return hide_in_start(started, record.telling_parts())


def interrupted_entry(started: Started, catalog: Catalog) -> LedgerEntry:
    """The row of a request whose end nobody saw: it may have reached its provider, so its input counts as billed."""
    usage, cost = None, FREE.cost
    billable = started.endpoint not in UNMETERED_ENDPOINTS
    if billable:
        usage = estimate_usage(started.prompt_bytes, Reply(), None, input_only=True)
        cost = cost_of(
            catalog,
            usage,
            provider=started.provider or "",
            response_model=None,
            request_model=started.request_model,
            service_tier=None,
            on=datetime.fromtimestamp(started.started_at_us / 1e6, UTC).date(),
        )
    entry = LedgerEntry(
        id=started.id,
        started_at_us=started.started_at_us,
        finished_at_us=started.started_at_us,
        key=started.key,
        provider=started.provider,
        detected_by=started.detected_by,
        flags=tuple(dict.fromkeys((*started.flags, *cost.flags))),
        request_model=started.request_model,
        endpoint=started.endpoint,
        streamed=started.streamed,
        outcome=Outcome.INTERRUPTED,
        error_source="lectr",
        usage_source=UsageSource.ESTIMATED if billable else UsageSource.NONE,
        billable=billable,
        cost_picousd=cost.picousd,
        cost_reason=cost.reason,
        price_entry=cost.price_entry,
        feature=started.feature,
        task=started.task,
        prompt_bytes=started.prompt_bytes,
        used=started.used,
    )
    if usage is not None:
        entry.take_counts(usage)
    return entry


def _settle(record: Record, catalog: Catalog, *, whole: bool) -> Settlement:
    if not record.billable or record.detection is None:
        return FREE
    if record.encoded:
        return ENCODED
    return settle(
        catalog,
        record.request,
        record.detection.provider,
        record.reply,
        whole=whole and record.reply.provider_error is None,
        prompt_bytes=record.read_detail().prompt_bytes,
        input_characters=record.read_detail().input_characters,
    )


def _outcome(record: Record) -> Outcome:
    failed = record.reply.provider_error is not None or record.status is None or record.status >= 400
    return Outcome.PROVIDER_ERROR if failed else Outcome.OK
