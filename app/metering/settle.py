"""The end of metering: from what a reader learned to counts and cost of one row."""

from datetime import UTC, date, datetime
from functools import lru_cache

import msgspec

from app.catalog.catalog import Catalog
from app.domain import Cost, CostReason, InboundRequest, Reply, Usage, UsageSource
from app.metering.usage import estimate_usage, split_usage, usage_json
from app.metering.usual_cost import usual_cost


class Settlement(msgspec.Struct, frozen=True):
    """What a row says of usage and money. `usage` None = nothing is known."""

    usage: Usage | None
    source: UsageSource
    cost: Cost
    usage_json: str | None = None


_DAY_US = 86_400_000_000

FREE = Settlement(None, UsageSource.NONE, Cost(0))
"""Not billable: the provider takes nothing for it."""
ENCODED = Settlement(None, UsageSource.NONE, Cost(None, CostReason.ENCODED_BODY))
"""The answer came compressed although none was asked for, and went on as it came."""


@lru_cache(maxsize=8)
def _day(days: int) -> date:
    return datetime.fromtimestamp(days * (_DAY_US // 1_000_000), UTC).date()


def settle(
    catalog: Catalog,
    request: InboundRequest,
    provider: str,
    reply: Reply,
    *,
    whole: bool,
    prompt_bytes: int,
    input_characters: int,
) -> Settlement:
    """Usage and cost of a billable request. `whole` is False where the answer ended before its usage came.

    Never raises: a fault of ours becomes the reason `reader_failed`.
    """
    try:
        usage = split_usage(provider, request.endpoint, reply, input_characters=input_characters)
        text = usage_json(reply, input_characters=input_characters)
        source = UsageSource.PROVIDER
        if not whole and not reply.usage_complete:
            usage = estimate_usage(prompt_bytes, reply, usage)
            source = UsageSource.ESTIMATED
        if usage is None:
            reason = CostReason.READER_FAILED if reply.reader_failed else CostReason.NO_USAGE
            return Settlement(None, UsageSource.NONE, Cost(None, reason), text)
        cost = usual_cost(
            catalog,
            usage,
            provider=provider,
            response_model=reply.response_model,
            request_model=request.model,
            service_tier=reply.service_tier,
            on=_day(request.started_at_us // _DAY_US),
        )
        return Settlement(usage, source, cost, text)
    except Exception:
        return Settlement(None, UsageSource.NONE, Cost(None, CostReason.READER_FAILED))
