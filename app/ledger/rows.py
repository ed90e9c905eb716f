"""A `LedgerEntry` as the tables keep it, and back.

The texts that repeat become two tuples, the group and the detail of the row (see `tables`); the rest is one narrow
row. `usage_json` is deflated with a preset dictionary: 314 bytes become 39 in 3 microseconds.
"""

import zlib
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from app.domain import CostReason, LedgerEntry, Outcome, UsageSource
from app.ledger.clock import id_bytes, id_moment_us, id_text
from app.ledger.storable import storable, storable_or_none
from app.ledger.tables import FREE, PRICED, TOKEN_COLUMNS, UNPRICED, details, groups, requests

MAX_USAGE_BYTES = 8192
MAX_COUNT = 2**53
GROUP_COLUMNS = ("key", "provider", "model", "feature", "task", "endpoint", "streamed", "status", "outcome", "priced")
DETAIL_COLUMNS = (
    *("detected_by", "flags", "response_model", "error_code", "error_source", "usage_source", "service_tier"),
    *("cost_reason", "price_entry", "used"),
)
NUMBER_COLUMNS = (
    *("started_offset_us", "elapsed_us", "ttfb_ms", "duration_ms", "overhead_us", *TOKEN_COLUMNS, "cost_picousd"),
    *("prompt_bytes", "usage", "provider_request_id"),
)
ROW_COLUMNS = ("id", "group_id", "detail_id", *NUMBER_COLUMNS)

_PLAIN, _DEFLATED = b"\0", b"\1"
_WINDOW = -11
_USAGE_WORDS = (
    b'{"input_tokens":,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":'
    b'{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":,"service_tier":"standard",'
    b'"inference_geo":"not_available","server_tool_use":{"web_search_requests":0}}{"queue_time":0.0,"prompt_tokens":,'
    b'"prompt_time":0.0,"completion_tokens":,"completion_time":0.0,"total_tokens":,"total_time":0.0,'
    b'"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    b'"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default",'
    b'"model":"gpt-4o-mini-2024-07-18"}'
)
"""Never change these words: rows that are stored could not be read any more. New ones need a new leading byte."""
_DEFLATER = zlib.compressobj(3, zlib.DEFLATED, _WINDOW, 4, zlib.Z_DEFAULT_STRATEGY, _USAGE_WORDS)

GroupKey = tuple[Any, ...]
DetailKey = tuple[Any, ...]


class PackedEntry(NamedTuple):
    """One entry ready to be written: `numbers` are the values of NUMBER_COLUMNS, `moment_us` is the id's.

    Days are counted by the id's moment, so that the rows of a day are always a range of ids.
    """

    id: bytes
    group: GroupKey
    detail: DetailKey
    numbers: tuple[Any, ...]
    moment_us: int


def priced_state(entry: LedgerEntry) -> int:
    """FREE, PRICED or UNPRICED."""
    if not entry.billable:
        return FREE
    return UNPRICED if entry.cost_picousd is None else PRICED


def group_key(entry: LedgerEntry) -> GroupKey:
    """What reports filter and group this entry by, as it came (not yet made storable)."""
    return (
        entry.key,
        entry.provider,
        entry.request_model,
        entry.feature,
        entry.task,
        entry.endpoint,
        entry.streamed,
        entry.status,
        entry.outcome,
        priced_state(entry),
        entry.usage_source == UsageSource.ESTIMATED,
    )


def detail_key(entry: LedgerEntry) -> DetailKey:
    """The other short texts of this entry, as they came."""
    return (
        entry.detected_by,
        entry.flags,
        entry.response_model,
        entry.error_code,
        entry.error_source,
        entry.usage_source,
        entry.service_tier,
        entry.cost_reason,
        entry.price_entry,
        entry.used,
    )


def group_values(key: GroupKey) -> tuple[Any, ...]:
    """The storable columns of a group after `digest`: `failed` is a status of 400 or more, none, or not `ok`."""
    name, provider, model, feature, task, endpoint, streamed, status, outcome, priced, estimated = key
    failed = status is None or status >= 400 or outcome != Outcome.OK
    return (
        storable(name, 100),
        storable_or_none(provider, 100),
        storable_or_none(model, 200),
        storable_or_none(feature, 100),
        storable_or_none(task, 100),
        storable(endpoint, 100),
        int(streamed),
        status,
        storable(outcome, 100),
        priced,
        int(estimated),
        int(failed),
    )


def detail_values(key: DetailKey) -> tuple[Any, ...]:
    """The storable columns of a detail after `digest`; flags and used are separated by spaces."""
    detected_by, flags, response_model, error_code, error_source, usage_source, tier, reason, price_entry, used = key
    return (
        storable_or_none(detected_by, 100),
        storable(" ".join(flags), 300),
        storable_or_none(response_model, 200),
        storable_or_none(error_code, 100),
        storable_or_none(error_source, 100),
        storable(usage_source, 100),
        storable_or_none(tier, 100),
        storable_or_none(reason, 100),
        storable_or_none(price_entry, 300),
        storable(" ".join(used), 300),
    )


def pack_usage(text: str | None) -> bytes | None:
    """`usage_json` deflated; None where there is none or it is longer than 8 KiB."""
    if text is None:
        return None
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_USAGE_BYTES:
        return None
    if len(raw) < 32:
        return _PLAIN + raw
    deflater = _DEFLATER.copy()
    return _DEFLATED + deflater.compress(raw) + deflater.flush()


def unpack_usage(packed: bytes | None) -> str | None:
    """The text that `pack_usage` was given."""
    if packed is None:
        return None
    if packed[:1] == _PLAIN:
        return packed[1:].decode("utf-8", "replace")
    return zlib.decompressobj(_WINDOW, _USAGE_WORDS).decompress(packed[1:]).decode("utf-8", "replace")


def _count(value: int | None) -> int | None:
    if value is None or 0 <= value <= MAX_COUNT:
        return value
    return 0 if value < 0 else MAX_COUNT


def pack(entry: LedgerEntry) -> PackedEntry:
    """Make an entry ready to be written. Raises ValueError, TypeError, AttributeError for one that is no entry."""
    raw = id_bytes(entry.id)
    moment = id_moment_us(raw)
    started = entry.started_at_us
    request_id = entry.provider_request_id
    numbers = (
        started - moment,
        max(entry.finished_at_us - started, 0),
        _count(entry.ttfb_ms),
        _count(entry.duration_ms),
        _count(entry.overhead_us),
        _count(entry.input_tokens),
        _count(entry.cache_read_input_tokens),
        _count(entry.cache_write_5m_input_tokens),
        _count(entry.cache_write_1h_input_tokens),
        _count(entry.output_tokens),
        _count(entry.reasoning_tokens),
        _count(entry.input_audio_tokens),
        _count(entry.output_audio_tokens),
        entry.cost_picousd,
        _count(entry.prompt_bytes),
        pack_usage(entry.usage_json),
        None if request_id is None else storable(request_id, 200),
    )
    return PackedEntry(raw, group_key(entry), detail_key(entry), numbers, moment)


_FROM = requests.join(groups, groups.c.id == requests.c.group_id).join(details, details.c.id == requests.c.detail_id)
ENTRY_SELECT = sa.select(
    requests.c.id,
    *(requests.c[name] for name in NUMBER_COLUMNS),
    *(groups.c[name] for name in GROUP_COLUMNS),
    *(details.c[name] for name in DETAIL_COLUMNS),
).select_from(_FROM)
"""Selects what `entry_of` reads."""


def entry_of(row: Any) -> LedgerEntry:
    """The entry of one row of ENTRY_SELECT."""
    raw, offset, elapsed, ttfb, duration, overhead, *counts, cost, prompt_bytes, usage, request_id = row[:18]
    key, provider, model, feature, task, endpoint, streamed, status, outcome, priced = row[18:28]
    detected_by, flags, response_model, error_code, error_source, source, tier, reason, price, used = row[28:]
    started = id_moment_us(raw) + offset
    return LedgerEntry(
        id=id_text(raw),
        started_at_us=started,
        finished_at_us=started + elapsed,
        key=key,
        provider=provider,
        detected_by=detected_by,
        flags=tuple(flags.split()),
        request_model=model,
        response_model=response_model,
        endpoint=endpoint,
        streamed=bool(streamed),
        status=status,
        outcome=Outcome(outcome),
        error_code=error_code,
        error_source=error_source,
        ttfb_ms=ttfb,
        duration_ms=duration,
        overhead_us=overhead,
        **dict(zip(TOKEN_COLUMNS, counts, strict=True)),
        usage_json=unpack_usage(usage),
        usage_source=UsageSource(source),
        service_tier=tier,
        billable=priced != FREE,
        cost_picousd=cost,
        cost_reason=None if reason is None else CostReason(reason),
        price_entry=price,
        feature=feature,
        task=task,
        prompt_bytes=prompt_bytes,
        used=tuple(used.split()),
        provider_request_id=request_id,
    )


def entry_json(entry: LedgerEntry) -> str:
    """The entry as JSON text, whatever is wrong with it: for the parked rows."""
    try:
        return msgspec.json.encode(entry).decode()
    except Exception:
        return storable(repr(entry), 20_000)
