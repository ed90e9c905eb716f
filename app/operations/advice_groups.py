"""Makes the engine's groups of what the ledger has summed up: joins slices to models, days and counts."""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.schema import Model
from app.domain import Usage
from app.ledger.advice_reports import AdviceCounts, AdviceReader, AdviceSlice, Place
from app.recommendation.traffic import Group, Seen, Slice

EPOCH = date(1970, 1, 1)
_NOTHING = AdviceCounts(0, 0, 0, 0)
_Key = tuple[Place, bool, str]


class Traffic(msgspec.Struct, frozen=True):
    """All groups of a window, and all requests it holds."""

    groups: tuple[Group, ...]
    seen: Seen


def read_traffic(
    reader: AdviceReader, catalog: Catalog, thresholds: tuple[int, ...], long_prompt: int, last: date
) -> Traffic:
    """The groups of the reader's window, which ends on the day `last`. `long_prompt` is one of the thresholds."""
    long_from = thresholds.index(long_prompt) + 1
    counts, spend = reader.counts(), _by_length(reader.spend_by_day(), long_from)
    sources: dict[_Key, Model] = {}
    parts: dict[_Key, list[Slice]] = {}
    unknown = 0
    for found in reader.slices():
        source = source_of(catalog, found.provider, found.model, found.response_model, last)
        if source is None:
            unknown += found.requests
            continue
        place: Place = (found.provider, found.model, found.feature, found.task)
        key = (place, found.size >= long_from, source.id)
        sources[key] = source
        parts.setdefault(key, []).append(_slice(found))
    groups = [
        _group(key, sources[key], tuple(slices), counts.get(key[0], _NOTHING), spend[key[0], key[1]], last)
        for key, slices in parts.items()
    ]
    every = list(counts.values())
    sums = {name: sum(getattr(one, name) for one in every) for name in AdviceCounts.__struct_fields__}
    return Traffic(tuple(groups), Seen(**sums, unknown=unknown))


def source_of(catalog: Catalog, provider: str, model: str, response_model: str | None, on: date) -> Model | None:
    """The registry's model behind a name: as asked for, but on Azure, where names are deployments, as answered."""
    names = [model, response_model]
    if catalog.providers[provider].catalog_from if provider in catalog.providers else False:
        names.reverse()
    for name in names:
        if not name:
            continue
        found = catalog.find(name, provider)
        if found is None:
            match = catalog.price_at(provider, name, on)
            found = match.model if match is not None else None
        if found is not None:
            return found
    return None


def _by_length(
    spend: Mapping[tuple[Place, int], Mapping[int, int]], long_from: int
) -> dict[tuple[Place, bool], dict[int, int]]:
    found: dict[tuple[Place, bool], dict[int, int]] = {}
    for (place, size), by_day in spend.items():
        into = found.setdefault((place, size >= long_from), {})
        for day, picousd in by_day.items():
            into[day] = into.get(day, 0) + picousd
    return found


def _slice(found: AdviceSlice) -> Slice:
    return Slice(
        requests=found.requests,
        usage=msgspec.structs.replace(Usage(largest_pass_tokens=found.most_input), **found.tokens),
        recorded_picousd=found.cost_picousd,
        most_input=found.most_input,
        most_output=found.most_output,
        most_context=found.most_context,
        endpoint=found.endpoint,
        response_model=found.response_model,
        service_tier=found.service_tier,
        price_entry=found.price_entry,
        used=frozenset(found.used.split()),
        streamed=found.streamed,
        place=found,
    )


def _group(
    key: _Key, source: Model, slices: tuple[Slice, ...], counts: AdviceCounts, spend: Mapping[int, int], last: date
) -> Group:
    (provider, model, feature, task), long, _ = key
    return Group(
        provider=provider,
        model=model,
        source=source,
        feature=feature,
        task=task,
        long=long,
        slices=slices,
        all_requests=counts.requests,
        billable=counts.billable,
        usable=counts.usable,
        failed=counts.failed,
        days=len(spend),
        span_days=(last - (EPOCH + timedelta(days=min(spend)))).days + 1,
        top_day_picousd=max(spend.values()),
    )
