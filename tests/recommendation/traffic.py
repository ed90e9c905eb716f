"""Made-up groups of requests for the engine, priced by metering as recorded rows are."""

import itertools
import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from app.catalog.catalog import Catalog
from app.catalog.schema import Model
from app.domain import LedgerEntry, Outcome, Usage, UsageSource, new_request_id
from app.metering.cost import cost_of
from app.operations.advice_pieces import Row
from app.operations.advice_pricing import Pricer
from app.recommendation.traffic import Group, Slice

TODAY = date(2026, 11, 22)


def model_of(catalog: Catalog, provider: str, name: str) -> Model:
    found = catalog.find(name, provider)
    assert found is not None, name
    return found


def usage(into: int, out: int, *, cached: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=into, cache_read_input_tokens=cached, output_tokens=out, reasoning_tokens=reasoning,
        largest_pass_tokens=into + cached,
    )  # fmt: skip


def slice_of(
    catalog: Catalog, model: Model, one: Usage, count: int, *, used: Iterable[str] = (), provider: str | None = None
) -> Slice:
    """`count` equal requests, with the cost that metering gives each."""
    cost = cost_of(
        catalog,
        one,
        provider=provider or model.provider,
        response_model=model.id,
        request_model=model.id,
        service_tier=None,
        on=TODAY,
    )
    size = one.total_input_tokens
    total = Usage(
        input_tokens=one.input_tokens * count,
        cache_read_input_tokens=one.cache_read_input_tokens * count,
        output_tokens=one.output_tokens * count,
        reasoning_tokens=one.reasoning_tokens * count,
        largest_pass_tokens=size,
    )
    return Slice(
        requests=count,
        usage=total,
        recorded_picousd=(cost.picousd or 0) * count,
        most_input=size,
        most_output=one.output_tokens,
        most_context=size + one.output_tokens,
        endpoint="chat.completions",
        response_model=model.id,
        service_tier=None,
        price_entry=cost.price_entry,
        used=frozenset(used),
        place=_row(provider or model.provider, model.id, one, cost.picousd),
    )


def _row(provider: str, model: str, one: Usage, picousd: int | None) -> LedgerEntry:
    told = {
        "prompt_tokens": one.total_input_tokens,
        "completion_tokens": one.output_tokens,
        "total_tokens": one.total_input_tokens + one.output_tokens,
        "prompt_tokens_details": {"cached_tokens": one.cache_read_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": one.reasoning_tokens},
    }
    return LedgerEntry(
        id=new_request_id(0),
        started_at_us=0,
        finished_at_us=0,
        key="backend",
        provider=provider,
        detected_by="exact",
        request_model=model,
        response_model=model,
        endpoint="chat.completions",
        outcome=Outcome.OK,
        usage_json=json.dumps(told),
        usage_source=UsageSource.PROVIDER,
        cost_picousd=picousd,
    )


def group_of(catalog: Catalog, name: str, *slices: Slice, provider: str = "openai", **changed: Any) -> Group:
    """A tagged group over thirty even days, unless `changed` says otherwise."""
    count = sum(part.requests for part in slices)
    values: dict[str, Any] = {
        "provider": provider,
        "model": name,
        "source": model_of(catalog, provider, name),
        "feature": "support-bot",
        "task": "classification",
        "long": any(part.most_input > 1000 for part in slices),
        "slices": slices,
        "all_requests": count,
        "billable": count,
        "usable": count,
        "failed": 0,
        "days": 30,
        "span_days": 30,
        "top_day_picousd": 0,
    }
    return Group(**(values | changed))


def equal_requests(
    catalog: Catalog,
    name: str,
    one: Usage,
    count: int = 1000,
    *,
    provider: str = "openai",
    used: Iterable[str] = (),
    **changed: Any,
) -> Group:
    """A group of `count` equal requests."""
    model = model_of(catalog, provider, name)
    part = slice_of(catalog, model, one, count, used=used, provider=provider)
    return group_of(catalog, name, part, provider=provider, **changed)


def rows_of(part: Slice) -> Iterable[Row]:
    """The equal rows that a slice was made of."""
    assert isinstance(part.place, LedgerEntry)
    return itertools.repeat((part.place.usage_json, part.place.cost_picousd or 0), part.requests)


def pricer(catalog: Catalog, on: date = TODAY) -> Pricer:
    """Prices at the prices of `on`."""
    return Pricer(catalog, on, rows_of)
