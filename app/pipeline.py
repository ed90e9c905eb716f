"""One request through Lectr: detect, send, meter, record. Nothing else knows this order.

Whatever happens, a `Record` becomes exactly one row, handed to the ledger before the caller can see the end.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable

from app.catalog.catalog import CatalogHolder
from app.catalog.schema import Provider
from app.counters import Counters
from app.detection.credentials import detect_with_key, provider_without_detection
from app.domain import Headers, Outcome, Target, usd_text
from app.errors import ProviderTimeout, RequestRejected, UpstreamError
from app.ledger.confirmation import BoundedWait, Confirming
from app.ledger.team import TeamStore
from app.ledger.writer import LedgerWriter
from app.record import Record, bare_entry, blame, build_entry, started_of
from app.settings import Settings
from app.upstream.client import Answer, UpstreamClient
from app.upstream.failures import ErrorReader
from app.upstream.formats import FORMAT_BY_ENDPOINT, Reader, RequestFacts, SafeReader, reader_for
from app.upstream.targets import build_target, endpoint_not_supported, missing_provider_key

log = logging.getLogger("lectr.pipeline")

HELD_JSON_BYTES = 1024 * 1024
"""JSON answers up to this size wait until they are whole, so that their cost can stand in a header."""
CONFIRM_S = 0.1
"""How long the last byte of an answer may wait for the ledger."""
_BODYLESS = (204, 304)


class Pipeline:
    """The stages in their order, over one process's catalog, ledger and upstream client."""

    def __init__(
        self,
        settings: Settings,
        catalog: CatalogHolder,
        ledger: LedgerWriter,
        team: TeamStore,
        upstream: UpstreamClient,
        counters: Counters,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._stream_timeout_ns = int(settings.stream_timeout_s * 1e9)
        self._catalog = catalog
        self._ledger = ledger
        self._team = team
        self._upstream = upstream
        self._counters = counters
        self._clock = clock
        self._confirmed = BoundedWait(CONFIRM_S, self._count_miss).wait

    async def run(self, record: Record, facts: RequestFacts, upload: AsyncIterator[bytes] | None = None) -> None:
        """Serve a request to its end.

        Raises RequestRejected where Lectr itself must answer: then `reject` writes the row.
        """
        try:
            provider, target = self._prepare(record, facts, streamed_body=upload is not None)
            await self._confirmed(self._begin(record))
            answer = await self._send(record, provider, target, upload)
            try:
                await self._relay(record, target, answer)
            finally:
                await answer.close()
        except UpstreamError as error:
            blame(record, error)
            if not record.caller.started:
                raise RequestRejected(error.status, error.code, str(error)) from error
            self._hand_over(record, whole=False)

    async def reject(self, record: Record, rejected: RequestRejected) -> None:
        """Lectr answers this request itself: the row is written before the caller can see the answer."""
        record.status = rejected.status
        record.outcome = record.outcome or Outcome.REJECTED
        record.error_code = record.error_code or rejected.code
        record.error_source = record.error_source or ("lectr" if rejected.status >= 500 else "client")
        await self._confirmed(self._hand_over(record, whole=False))

    def leave(self, record: Record) -> None:
        """The caller hung up, or the server stops: write the row without waiting. Nothing if it is written."""
        left = record.caller.left
        record.outcome = Outcome.CLIENT_CLOSED if left else Outcome.SERVER_SHUTDOWN
        record.error_source = "client" if left else "lectr"
        self._hand_over(record, whole=False)

    def _prepare(self, record: Record, facts: RequestFacts, *, streamed_body: bool) -> tuple[Provider, Target]:
        request, catalog = record.request, self._catalog.current
        record.wire_format = FORMAT_BY_ENDPOINT.get(record.request.endpoint)
        try:
            record.detection, caller_key = detect_with_key(catalog, request)
        except Exception:
            self._own_fault("detection failed; the request goes where its key says, or to the default provider")
            record.detection, caller_key = provider_without_detection(catalog, request)
        provider = catalog.providers[record.detection.provider]
        if request.endpoint != "other" and request.endpoint not in provider.endpoints:
            raise endpoint_not_supported(provider, request, catalog)
        key = caller_key or self._settings.provider_value(provider.key_setting)
        if not key:
            raise missing_provider_key(provider)
        record.key_sent = key
        target = build_target(
            request,
            provider,
            key,
            self._settings,
            azure_endpoint=self._team.values.azure_endpoint or self._settings.azure_endpoint,
            azure_api_version=self._team.values.azure_api_version or self._settings.azure_api_version,
            asks_usage=facts.asks_usage,
            streamed_body=streamed_body,
        )
        return provider, target

    async def _send(
        self, record: Record, provider: Provider, target: Target, upload: AsyncIterator[bytes] | None
    ) -> Answer:
        before = time.perf_counter_ns()
        try:
            return await self._upstream.send(target, record.request.method, provider.name, record.mark_sent, upload)
        finally:
            record.upstream_wait_ns += time.perf_counter_ns() - before
            record.caller.watch()

    async def _relay(self, record: Record, target: Target, answer: Answer) -> None:
        record.status = answer.status
        record.provider_request_id = answer.request_id
        reader = self._reader(record, target, answer)
        content_type = (answer.header(b"content-type") or b"").lower()
        # A length beside a status that has no body is that of another answer, and would make this one look cut.
        length = None if answer.status in _BODYLESS else answer.content_length
        if length is not None and length <= HELD_JSON_BYTES and content_type.startswith(b"application/json"):
            await self._relay_held(record, answer, reader)
            return
        keep_length = not target.usage_added and answer.status not in _BODYLESS
        headers = answer.client_headers(keep_length=keep_length) + record.headers()
        if content_type.startswith(b"text/event-stream"):
            record.event_stream = True
            headers = [field for field in headers if field[0] != b"x-accel-buffering"]
            headers.append((b"x-accel-buffering", b"no"))
        await self._relay_stream(record, answer, reader, headers, length if keep_length else None)

    async def _relay_held(self, record: Record, answer: Answer, reader: Reader | None) -> None:
        """A JSON body of known, moderate length: whole first, so that its cost can stand in a header."""
        headers = answer.client_headers(keep_length=True) + record.headers()
        held: list[bytes] = []
        try:
            while chunk := await self._next_chunk(record, answer):
                held.append(chunk)
                if answer.ended:
                    break
        except UpstreamError:
            await record.caller.start(answer.status, headers)
            await record.caller.write(b"".join(held))
            raise
        body = b"".join(held)
        if reader is not None:
            reader.feed(body)
            reader.finish()
        future = self._hand_over(record, whole=True)
        if record.billable and record.cost_picousd is not None:
            headers.append((b"x-lectr-cost-usd", usd_text(record.cost_picousd).encode("ascii")))
        await self._confirmed(future)
        await record.caller.start(answer.status, headers)
        await record.caller.end(body)

    async def _relay_stream(
        self, record: Record, answer: Answer, reader: Reader | None, headers: Headers, length: int | None
    ) -> None:
        """Bytes as they come. The row is written before whatever tells the caller that the answer is whole:
        the last byte of a known length, the format's terminal event, or the end of the message."""
        caller, seen, rest = record.caller, 0, b""
        if not answer.waiting:
            await caller.start(answer.status, headers)
        try:
            while chunk := await self._next_chunk(record, answer):
                seen += len(chunk)
                out = reader.feed(chunk) if reader is not None else chunk
                if seen == length and reader is not None:
                    out += reader.finish()
                if seen == length or (reader is not None and reader.terminal):
                    await self._confirmed(self._hand_over(record, whole=True))
                if not caller.started:
                    # The header leaves with bytes that came with it.
                    await caller.start(answer.status, headers)
                if answer.ended:
                    rest = out
                    break
                if out:
                    await caller.write(out)
        except UpstreamError:
            # The reader may have held back the beginning of an event: what the provider sent is the caller's.
            if reader is not None and (rest := reader.finish()):
                await caller.write(rest)
            raise
        await answer.close()
        rest += reader.finish() if reader is not None else b""
        await self._confirmed(self._hand_over(record, whole=True))
        await caller.end(rest)

    async def _next_chunk(self, record: Record, answer: Answer) -> bytes:
        before = time.perf_counter_ns()
        chunk = await answer.read()
        now = time.perf_counter_ns()
        record.upstream_wait_ns += now - before
        if record.first_byte_ns is None and chunk:
            record.first_byte_ns = now
        if now - record.started_ns > self._stream_timeout_ns:
            raise ProviderTimeout("The answer took longer than a stream may.", sent=True)
        return chunk

    def _reader(self, record: Record, target: Target, answer: Answer) -> Reader | None:
        if (answer.header(b"content-encoding") or b"identity").lower() not in (b"identity", b""):
            record.encoded = True
            return None
        reader: Reader | None = None
        if not 200 <= answer.status < 300:
            reader = ErrorReader()
        elif target.format is not None:
            content_type = (answer.header(b"content-type") or b"").decode("latin-1")
            try:
                found = reader_for(target.format, content_type=content_type, usage_added=target.usage_added)
                reader = SafeReader(found) if found is not None else None
            except Exception:
                self._own_fault("there is no reader; the answer goes on unread")
                record.reply.reader_failed = True
        if reader is not None:
            record.reply = reader.reply
        return reader

    def _hand_over(self, record: Record, *, whole: bool) -> Confirming | None:
        """Synchronous, and only once: a cancelled request must be able to do it on its way out."""
        if record.closed:
            return None
        record.closed = True
        try:
            entry = build_entry(record, self._catalog.current, whole=whole)
        except Exception:
            self._own_fault("a row could not be made; it is written without usage and cost")
            entry = bare_entry(record)
        record.cost_picousd = entry.cost_picousd
        if record.sent:
            self._counters.overheads_us.append(entry.overhead_us)
        try:
            return self._ledger.hand_over(entry)
        except Exception:
            self._own_fault("the ledger did not take a row")
            return None

    def _begin(self, record: Record) -> Confirming | None:
        """Note that the request goes out."""
        try:
            return self._ledger.begin(started_of(record))
        except Exception:
            self._own_fault("the ledger did not note a request")
            return None

    def _count_miss(self) -> None:
        self._counters.ledger_unconfirmed += 1

    def _own_fault(self, sentence: str) -> None:
        """A fault of ours that no request may feel: it is logged and counted."""
        log.exception(sentence)
        self._counters.unexpected_errors += 1
