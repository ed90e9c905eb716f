"""The cost of a row that is stored: from the usage it keeps, at the prices of its day."""

from datetime import UTC, datetime

from app.catalog.catalog import Catalog
from app.domain import Cost, LedgerEntry, Usage, UsageSource
from app.metering.cost import bill_of
from app.metering.usage import usage_from_json


def usage_of(entry: LedgerEntry) -> Usage | None:
    """The billable quantities of a row; those of an estimate stand in its columns only."""
    if entry.usage_source is UsageSource.PROVIDER and entry.provider is not None:
        return usage_from_json(entry.provider, entry.endpoint, entry.usage_json)
    if entry.usage_source is not UsageSource.ESTIMATED:
        return None
    return Usage(
        input_tokens=entry.input_tokens or 0,
        cache_read_input_tokens=entry.cache_read_input_tokens or 0,
        cache_write_5m_input_tokens=entry.cache_write_5m_input_tokens or 0,
        cache_write_1h_input_tokens=entry.cache_write_1h_input_tokens or 0,
        output_tokens=entry.output_tokens or 0,
        reasoning_tokens=entry.reasoning_tokens or 0,
        input_audio_tokens=entry.input_audio_tokens or 0,
        output_audio_tokens=entry.output_audio_tokens or 0,
    )


def cost_again(catalog: Catalog, entry: LedgerEntry) -> Cost | None:
    """The cost of a row with its bill line by line, at the prices of its `started_at`; None without usage."""
    usage = usage_of(entry)
    if usage is None or entry.provider is None:
        return None
    return bill_of(
        catalog,
        usage,
        provider=entry.provider,
        response_model=entry.response_model,
        request_model=entry.request_model,
        service_tier=entry.service_tier,
        on=datetime.fromtimestamp(entry.started_at_us / 1e6, UTC).date(),
    )
