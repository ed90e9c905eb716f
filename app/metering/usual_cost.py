"""What most requests cost, without looking their price up again: whole numbers times whole numbers.

The rates are read off a bill, once per model, tier and day; whatever is not simply so many tokens times so
much (context tiers, modifiers, other buckets, a rate that is no whole number of pico-dollars) goes to it as before.
"""

from datetime import date
from fractions import Fraction
from functools import lru_cache, partial

import msgspec

from app.domain import MAX_PICOUSD, PICOUSD_PER_USD, Cost, Usage
from app.metering.cost import Prices, Question, bill_of, cost_of, match_of
from app.metering.counters import MAX_COUNT

KEPT_RATES = 4096
"""A team uses a few dozen models; whoever sends a new name each time must not fill the memory."""

_Names = tuple[str, str | None, str | None, str | None, date]


class _Rates(msgspec.Struct, frozen=True):
    """Pico-dollars per token, None where they must be asked for, up to `most_input` tokens of input."""

    input: int | None
    cached: int | None
    output: int | None
    most_input: int
    price_entry: str | None
    flags: tuple[str, ...]


# A team's override makes a new catalog; the one before may still be in use by requests under way.
@lru_cache(maxsize=4)
def _rates_of(catalog: Prices) -> dict[_Names, _Rates | None]:
    return {}


def usual_cost(
    catalog: Prices,
    usage: Usage,
    *,
    provider: str,
    response_model: str | None,
    request_model: str | None,
    service_tier: str | None,
    on: date,
) -> Cost:
    """The same as `cost_of`, sooner."""
    names = (provider, response_model, request_model, service_tier, on)
    known = _rates_of(catalog)
    if names in known:
        rates = known[names]
    else:
        if len(known) >= KEPT_RATES:
            known.clear()
        rates = known[names] = _asked(catalog, names)
    cost = _cost(rates, usage) if rates is not None else None
    if cost is not None:
        return cost
    return cost_of(
        catalog,
        usage,
        provider=provider,
        response_model=response_model,
        request_model=request_model,
        service_tier=service_tier,
        on=on,
    )


def _cost(rates: _Rates, usage: Usage) -> Cost | None:
    plain = Usage(
        input_tokens=usage.input_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )
    if usage != plain or usage.input_tokens + usage.cache_read_input_tokens > rates.most_input:
        return None
    picousd = 0
    for quantity, rate in (
        (usage.input_tokens, rates.input),
        (usage.cache_read_input_tokens, rates.cached),
        (usage.output_tokens, rates.output),
    ):
        if quantity:
            if rate is None:
                return None
            picousd += quantity * rate
    return Cost(picousd, None, rates.price_entry, rates.flags) if picousd <= MAX_PICOUSD else None


def _asked(catalog: Prices, names: _Names) -> _Rates | None:
    """What a token of each kind costs; None where no price is known."""
    provider, response_model, request_model, service_tier, on = names
    found = match_of(Question(catalog, provider, service_tier, on), response_model, request_model, {})
    if found is None:
        return None
    # What is flagged of no tokens at all is flagged of any: a kind with a flag of its own is asked for each time.
    bill_for = partial(
        bill_of,
        catalog,
        provider=provider,
        response_model=response_model,
        request_model=request_model,
        service_tier=service_tier,
        on=on,
    )
    base = bill_for(Usage())

    def rate_of(one_token: Usage) -> int | None:
        bill = bill_for(one_token)
        if bill.picousd is None or bill.flags != base.flags:
            return None
        line = bill.lines[0]
        rate = Fraction(line.rate_usd) * PICOUSD_PER_USD / line.per
        return rate.numerator if rate.denominator == 1 else None

    return _Rates(
        rate_of(Usage(input_tokens=1)),
        rate_of(Usage(cache_read_input_tokens=1)),
        rate_of(Usage(output_tokens=1)),
        min((tier.over_input_tokens for tier in found.price.tiers), default=MAX_COUNT),
        found.price.entry,
        base.flags,
    )
