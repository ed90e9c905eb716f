"""Ledger rows as API and files give them: the names of the ledger, in its order, as JSON, NDJSON or CSV."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from app.domain import LedgerEntry, usd_text
from app.ledger.polite import apart

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class RequestRow(msgspec.Struct, kw_only=True):
    """One request. Times are RFC 3339 in UTC; `cost_usd` is `cost_picousd` as an exact decimal string."""

    id: str
    started_at: str
    finished_at: str
    key: str
    provider: str | None
    detected_by: str | None
    flags: list[str]
    request_model: str | None
    response_model: str | None
    endpoint: str
    streamed: bool
    status: int | None
    outcome: str
    error_code: str | None
    error_source: str | None
    ttfb_ms: int | None
    duration_ms: int
    overhead_us: int
    input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_5m_input_tokens: int | None
    cache_write_1h_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    usage_json: dict[str, Any] | None
    usage_source: str
    service_tier: str | None
    cost_picousd: int | None
    cost_usd: str | None
    cost_reason: str | None
    price_entry: str | None
    feature: str | None
    task: str | None
    prompt_bytes: int
    used: list[str]
    provider_request_id: str | None


ROW_NAMES = RequestRow.__struct_fields__
_SAME = tuple(name for name in ROW_NAMES if name in LedgerEntry.__struct_fields__)
_OTHER = frozenset(("flags", "used", "usage_json", "outcome", "usage_source", "cost_reason"))
_COPIED = tuple(name for name in _SAME if name not in _OTHER)


def row_of(entry: LedgerEntry) -> RequestRow:
    """The row of an entry."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in _COPIED}
    return RequestRow(
        **values,
        started_at=timestamp(entry.started_at_us),
        finished_at=timestamp(entry.finished_at_us),
        flags=list(entry.flags),
        used=list(entry.used),
        outcome=str(entry.outcome),
        usage_source=str(entry.usage_source),
        usage_json=_object(entry.usage_json),
        cost_usd=None if entry.cost_picousd is None else usd_text(entry.cost_picousd),
        cost_reason=None if entry.cost_reason is None else str(entry.cost_reason),
    )


def timestamp(at_us: int) -> str:
    """UTC microseconds as RFC 3339."""
    seconds, microseconds = divmod(at_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{microseconds:06d}Z"


def csv_text(cells: list[list[Any]]) -> str:
    """Lines of RFC 4180 CSV in which no cell is taken for a formula."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[_cell(value) for value in line] for line in cells])
    return buffer.getvalue()


def csv_line(row: RequestRow) -> list[Any]:
    """The cells of a row: lists space-separated, objects as JSON text, null empty."""
    return [getattr(row, name) for name in ROW_NAMES]


async def json_lines(entries: AsyncIterator[list[LedgerEntry]]) -> AsyncIterator[bytes]:
    """NDJSON: one row a line."""
    async for some in entries:
        yield await apart(partial(_lines, some))


def _lines(some: list[LedgerEntry]) -> bytes:
    return b"".join(msgspec.json.encode(row_of(entry)) + b"\n" for entry in some)


async def json_array(entries: AsyncIterator[list[LedgerEntry]]) -> AsyncIterator[bytes]:
    """One JSON array of all rows."""
    before = b"[\n"
    async for some in entries:
        if some:
            yield before + await apart(partial(_items, some))
            before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _items(some: list[LedgerEntry]) -> bytes:
    return b",\n".join(msgspec.json.encode(row_of(entry)) for entry in some)


async def csv_lines(entries: AsyncIterator[list[LedgerEntry]]) -> AsyncIterator[bytes]:
    """CSV with a line of names."""
    yield csv_text([list(ROW_NAMES)]).encode()
    async for some in entries:
        yield await apart(partial(_cells, some))


def _cells(some: list[LedgerEntry]) -> bytes:
    return csv_text([csv_line(row_of(entry)) for entry in some]).encode()


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    document = msgspec.json.decode(text)
    return document if isinstance(document, dict) else None


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    text = " ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
