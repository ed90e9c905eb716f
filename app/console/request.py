"""/requests/{id}: one request and its bill line by line; in the list it opens as a panel."""

from decimal import Decimal
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.catalog.schema import Price
from app.console import times
from app.console.links import Query
from app.console.page import Page
from app.console.request_query import PARAMETERS, understand
from app.detection.explain import explain
from app.domain import BillLine, Cost, Detection, LedgerEntry, Usage, UsageSource
from app.ledger import reports
from app.metering.cost import bill_of
from app.metering.recorded import usage_from_json
from app.services import Services

_MILLION = 1_000_000
_PATHS = {"messages": "/v1/messages", "messages.count_tokens": "/v1/messages/count_tokens"}
_BUCKETS = {
    "input_tokens": "Input",
    "cache_read_input_tokens": "Cached input, read",
    "cache_write_5m_input_tokens": "Cache write, 5 minutes",
    "cache_write_1h_input_tokens": "Cache write, 1 hour",
    "cache_write_12h_input_tokens": "Cache write, 12 hours",
    "output_tokens": "Output",
    "input_audio_tokens": "Audio input",
    "cache_read_audio_tokens": "Cached audio input",
    "output_audio_tokens": "Audio output",
    "input_image_tokens": "Image input",
    "output_image_tokens": "Image output",
    "web_searches": "Web searches",
    "input_characters": "Characters",
    "audio_milliseconds": "Audio, milliseconds",
}


class Line(msgspec.Struct, frozen=True):
    """One line of the bill as people read it: the rate is per million units where that is how it is listed."""

    label: str
    quantity: int
    rate_usd: Decimal
    per: str
    amount_usd: Decimal


class Source(msgspec.Struct, frozen=True):
    """Where a price on the bill comes from."""

    entry: str
    price: Price | None


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One request as `view` of request.html."""

    entry: LedgerEntry
    lines: list[Line]
    sources: list[Source]
    differs: Cost | None
    """What the present price list says, where it is not what the ledger holds."""
    detection: Detection | None
    newer_url: str | None
    older_url: str | None
    list_url: str


@get("/requests/{id:str}")
async def show_request(page: NamedDependency[Page], id: FromPath[str]) -> Response[bytes]:
    """The request; previous and next are those of the list it was opened from."""
    query = Query(f"/requests/{id}", page.parameters(*PARAMETERS)).without("after")
    asked = understand(query, page.now_us(), page.zone)
    database = page.services.database
    entry = await reports.get_request(database, id)
    try:
        newer, older = await reports.neighbours(database, id, asked.filter)
    except ValueError:
        newer = older = None
    bill = bill_for(page.services, entry)
    view = RequestView(
        entry=entry,
        lines=[_line(line) for line in bill.lines] if bill else [],
        sources=_sources(page.services, entry, bill),
        differs=bill if bill and entry.billable and bill.picousd != entry.cost_picousd else None,
        detection=_detection(page.services, entry),
        newer_url=query.url(f"/requests/{newer}") if newer else None,
        older_url=query.url(f"/requests/{older}") if older else None,
        list_url=query.url("/requests"),
    )
    return await page.answer("request.html", view, title=f"Request {id[:8]}", block="bill")


def bill_for(services: Services, entry: LedgerEntry) -> Cost | None:
    """The bill of a row at the prices of its day by the present price list; None where nothing can be billed."""
    if not entry.billable or entry.provider is None:
        return None
    usage = None
    if entry.usage_source == UsageSource.PROVIDER:
        usage = usage_from_json(entry.provider, entry.endpoint, entry.usage_json)
    elif entry.usage_source == UsageSource.ESTIMATED:
        usage = _counted(entry)
    if usage is None:
        return None
    return bill_of(
        services.catalog.current,
        usage,
        provider=entry.provider,
        response_model=entry.response_model,
        request_model=entry.request_model,
        service_tier=entry.service_tier,
        on=times.moment(entry.started_at_us, "UTC").date(),
    )


def _counted(entry: LedgerEntry) -> Usage:
    """The row's own counts: an estimate is in no usage object of the provider."""
    names = [
        name for name in Usage.__struct_fields__ if name in LedgerEntry.__struct_fields__ and name.endswith("tokens")
    ]
    counts: dict[str, Any] = {name: getattr(entry, name) or 0 for name in names}
    return Usage(**counts)


def _line(line: BillLine) -> Line:
    rate, per = line.rate_usd, f"per {line.per:,}"
    if line.per in (1, _MILLION):
        rate, per = line.rate_usd * (_MILLION if line.per == 1 else 1), "per 1M"
    label = _BUCKETS.get(line.bucket, line.bucket.replace("_", " ").capitalize())
    return Line(label, line.quantity, rate, per, line.amount_usd)


def _sources(services: Services, entry: LedgerEntry, bill: Cost | None) -> list[Source]:
    names = {line.price_entry for line in bill.lines} if bill else set()
    if entry.price_entry:
        names.add(entry.price_entry)
    prices = {price.entry: price for model in services.catalog.current.models for price in model.prices}
    return [Source(name, prices.get(name)) for name in sorted(names)]


def _detection(services: Services, entry: LedgerEntry) -> Detection | None:
    """The rules as they would be tried today; what the ledger holds is the rule that answered then."""
    if entry.detected_by is None:
        return None
    header = entry.provider if entry.detected_by == "header" else None
    default = entry.provider if entry.detected_by == "key_default" else None
    path = _PATHS.get(entry.endpoint, "/v1/chat/completions")
    return explain(
        services.catalog.current, model=entry.request_model, path=path, provider_header=header, key_default=default
    )
