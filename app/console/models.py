"""/models: the provider table, then every model of the registry with price, lifecycle and capabilities."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.catalog.schema import Model, Price, Provider
from app.console.links import Query
from app.console.page import Page
from app.console.requests import Facet, Link
from app.console.times import today
from app.ledger import reports
from app.ledger.polite import apart

PARAMETERS = ("q", "provider", "alive", "can", "target", "priced", "sort", "dir")
CAPABILITIES = {
    "images": "images",
    "audio": "audio",
    "tools": "tools",
    "parallel_tools": "parallel tools",
    "json_mode": "JSON mode",
    "json_schema": "JSON schema",
    "reasoning": "reasoning",
}
_LABELS = {
    "provider": "Provider",
    "alive": "Lifecycle",
    "can": "Capability",
    "target": "Routing target",
    "priced": "Price",
}
_LAST = Decimal("Infinity")


class ProviderLine(msgspec.Struct, frozen=True):
    """One row of the provider table, in the words of the product."""

    id: str
    name: str
    detection: str
    upstream: str
    auth: str


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model as the table shows it, at today's standard price."""

    model: Model
    alive: bool
    input_usd: Decimal | None
    cached_usd: Decimal | None
    output_usd: Decimal | None
    tiered: bool
    capabilities: list[str]
    downgrade: str | None
    spend_picousd: int | None
    url: str


class ModelsView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of models.html."""

    query: Query
    providers: list[ProviderLine]
    lines: list[ModelLine]
    known: int
    facets: list[Facet]
    sort: str
    descending: bool
    listed_on: date


@get("/models")
async def list_models(page: NamedDependency[Page]) -> Response[bytes]:
    """All models; htmx gets the list alone."""
    usage = await reports.usage_by(page.services.database, "model", since=None, until=None, zone=page.zone)
    view = await apart(partial(_view, page, {row.group: row.cost_picousd for row in usage.rows}))
    return await page.answer("models.html", view, title="Models", block="results")


def _view(page: Page, spend: Mapping[str, int]) -> ModelsView:
    query = Query("/models", page.parameters(*PARAMETERS))
    catalog = page.services.catalog.current
    day = today(page.now_us(), page.zone)
    every = [model_line(model, day, spend) for model in catalog.models]
    shown = [line for line in every if all(test(line) for test in _tests(query))]
    sort, descending = query.get("sort") or "", query.get("dir") == "desc"
    # In catalog order by provider and id; unless asked otherwise, what is still served comes first.
    shown.sort(key=_SORTS.get(sort, lambda line: not line.alive), reverse=descending)
    return ModelsView(
        query=query,
        providers=[provider_line(provider, page) for provider in catalog.providers.values()],
        lines=shown,
        known=len(every),
        facets=[_facet(query, name, every) for name in _FACETS],
        sort=sort,
        descending=descending,
        listed_on=catalog.listed_on,
    )


def provider_line(provider: Provider, page: Page) -> ProviderLine:
    """Provider, detection, upstream and auth; a base URL that was set wins over the listed one."""
    settings = page.services.settings
    own_url = settings.provider_value(provider.base_url_setting) if provider.base_url_setting else ""
    if provider.id == "azure":
        own_url = page.services.team.values.azure_endpoint or own_url
    return ProviderLine(
        id=provider.id,
        name=provider.name,
        detection=provider.detection_note,
        upstream=own_url or provider.endpoint_note,
        auth=_auth(provider),
    )


def _auth(provider: Provider) -> str:
    if provider.auth == "x-api-key":
        version = provider.default_headers.get("anthropic-version", "")
        return (
            f"`x-api-key` (+ `anthropic-version`, {version} if absent); its `/v1/chat/completions` and OAuth tokens "
            "(`sk-ant-oat…`): `Authorization: Bearer`"
        )
    if provider.auth == "api-key":
        return "`api-key`; Entra tokens (`eyJ…`) `Authorization: Bearer`"
    return "`Authorization: Bearer`"


def price_on(model: Model, day: date) -> Price | None:
    """The standard price of a day: the last that has started."""
    found = None
    for price in model.prices:
        if not price.when and (price.starts is None or price.starts <= day):
            found = price
    return found


def model_line(model: Model, day: date, spend: Mapping[str, int]) -> ModelLine:
    """What the table says of a model today."""
    price = price_on(model, day)
    rates = price.rates if price else {}
    downgrades = model.living or model.listed
    names = {model.id, *model.aliases}
    spent = [spend[name] for name in names if name in spend]
    return ModelLine(
        model=model,
        alive=model.lifecycle.alive_on(day),
        input_usd=rates.get("input_mtok", rates.get("input_text_mtok")),
        cached_usd=rates.get("cache_read_mtok"),
        output_usd=rates.get("output_mtok", rates.get("output_text_mtok")),
        tiered=bool(price and price.tiers),
        capabilities=[label for name, label in CAPABILITIES.items() if getattr(model.capabilities, name)],
        downgrade=downgrades.conservative if downgrades else None,
        spend_picousd=sum(spent) if spent else None,
        url=f"/models/{model.id}?provider={model.provider}",
    )


def _tests(query: Query) -> list[Callable[[ModelLine], bool]]:
    found: list[Callable[[ModelLine], bool]] = []
    if text := (query.get("q") or "").lower():
        found.append(lambda line: text in line.model.id.lower() or any(text in name for name in line.model.aliases))
    for name, values in _FACETS.items():
        if wanted := query.get(name):
            found.append(lambda line, values=values, wanted=wanted: wanted in values(line))  # type: ignore[misc]
    return found


def _facet(query: Query, name: str, lines: list[ModelLine]) -> Facet:
    counts: dict[str, int] = {}
    others = _tests(query.without(name))
    for line in lines:
        for value in _FACETS[name](line):
            counts.setdefault(value, 0)
            counts[value] += all(test(line) for test in others)
    chosen = query.get(name)
    links = [
        Link(value, query.url(**{name: None if value == chosen else value}), value == chosen, number)
        for value, number in counts.items()
    ]
    return Facet(name, _LABELS[name], links)


_FACETS: dict[str, Callable[[ModelLine], list[str]]] = {
    "provider": lambda line: [line.model.provider],
    "alive": lambda line: ["alive" if line.alive else "retired"],
    "can": lambda line: line.capabilities,
    "target": lambda line: ["yes" if line.model.routing_target else "no"],
    "priced": lambda line: ["yes" if line.input_usd is not None or line.output_usd is not None else "no"],
}
_SORTS: dict[str, Callable[[ModelLine], Any]] = {
    "provider": lambda line: line.model.provider,
    "name": lambda line: line.model.id,
    "input": lambda line: _LAST if line.input_usd is None else line.input_usd,
    "output": lambda line: _LAST if line.output_usd is None else line.output_usd,
    "context": lambda line: line.model.capabilities.context_tokens or 0,
    "spend": lambda line: line.spend_picousd or 0,
}
