"""`/api/detect`, `/api/models`: what the registry says."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from app.api import parameters
from app.api.failures import BadQuery, documented
from app.catalog.catalog import Catalog
from app.catalog.schema import Model
from app.detection.explain import explain
from app.domain import CostReason, TraceStep
from app.errors import NotFoundError
from app.services import Services

MAX_MODEL_CHARACTERS = 1000


class PriceView(msgspec.Struct):
    """The standard price in force. Rates are US dollars per million tokens as decimal strings."""

    entry: str
    input_usd_per_mtok: str | None
    cached_usd_per_mtok: str | None
    output_usd_per_mtok: str | None
    confident: bool
    source: str
    checked: date | None


class DetectAnswer(msgspec.Struct):
    """Which provider a model name goes to and why; `provider` is null where only the default would answer."""

    model: str
    provider: str | None
    detected_by: str
    trace: tuple[TraceStep, ...]
    price: PriceView | None
    price_reason: str | None
    flags: tuple[str, ...]
    near_misses: tuple[str, ...]
    ambiguous: tuple[str, ...]
    registry_model: str | None
    context_tokens: int | None
    max_output_tokens: int | None
    status: str | None
    ends: date | None


class ModelView(msgspec.Struct):
    """One model of the registry."""

    id: str
    provider: str
    routing_target: bool
    aliases: tuple[str, ...]
    mode: str
    alive: bool
    status: str
    ends: date | None
    replacement: str | None
    price: PriceView | None
    context_tokens: int | None
    max_output_tokens: int | None
    capabilities: dict[str, bool | None]
    conservative: str | None
    aggressive: str | None
    overridden: bool


class ModelList(msgspec.Struct):
    """All models of the registry."""

    models: list[ModelView]


@get("/api/detect", sync_to_thread=False, responses=documented(400))
def detect_model(request: parameters.Query, services: NamedDependency[Services], model: FromQuery[str]) -> DetectAnswer:
    """What Lectr makes of a model name."""
    parameters.only(request, ("model",))
    if not model.strip() or len(model) > MAX_MODEL_CHARACTERS:
        raise BadQuery(f"model must have 1 to {MAX_MODEL_CHARACTERS} characters.")
    catalog = services.catalog.current
    detection = explain(catalog, model=model)
    recognised = detection.detected_by != "default"
    price = _price(catalog, detection.provider, model, _today(services)) if recognised else None
    found = catalog.find(model, detection.provider) if recognised else None
    return DetectAnswer(
        model=model,
        provider=detection.provider if recognised else None,
        detected_by=detection.detected_by,
        trace=detection.trace,
        price=price,
        price_reason=None if price else CostReason.UNKNOWN_MODEL,
        flags=detection.flags,
        near_misses=detection.near_misses,
        ambiguous=detection.ambiguous,
        registry_model=found.id if found else None,
        context_tokens=found.capabilities.context_tokens if found else None,
        max_output_tokens=found.capabilities.max_output_tokens if found else None,
        status=found.lifecycle.status if found else None,
        ends=found.lifecycle.ends if found else None,
    )


@get("/api/models", sync_to_thread=False, responses=documented(400))
def model_list(request: parameters.Query, services: NamedDependency[Services]) -> ModelList:
    """Every model of the registry that its provider has or had, with its price in force, lifecycle and downgrades."""
    parameters.only(request, ())
    catalog, today = services.catalog.current, _today(services)
    return ModelList([_model(catalog, model, today) for model in catalog.models if model.served])


@get("/api/models/{model_id:path}", sync_to_thread=False, responses=documented(400, 404))
def model_detail(
    request: parameters.Query,
    services: NamedDependency[Services],
    model_id: FromPath[str],
    provider: FromQuery[str | None] = None,
) -> ModelView:
    """One model by id or alias; `provider` chooses where several have it."""
    parameters.only(request, ("provider",))
    catalog = services.catalog.current
    name = model_id.lstrip("/")
    if provider is not None and provider not in catalog.providers:
        raise BadQuery(f"There is no provider {provider[:40]!r}. There are: {', '.join(catalog.providers)}.")
    found = catalog.find(name, provider)
    if found is None:
        near = catalog.near(name)
        hint = f" Near: {', '.join(near)}." if near else ""
        raise NotFoundError(f"The registry has no model {name[:200]!r}.{hint}")
    return _model(catalog, found, _today(services), provider)


def _model(catalog: Catalog, model: Model, today: date, asked: str | None = None) -> ModelView:
    """`asked` is the provider asked for: Azure serves other companies' models at prices of its own."""
    provider = asked or model.provider
    able = model.capabilities
    downgrades = model.listed or model.living
    named = ("images", "audio", "tools", "parallel_tools", "json_mode", "json_schema", "reasoning")
    return ModelView(
        id=model.id,
        provider=provider,
        routing_target=model.routing_target and provider == model.provider,
        aliases=model.aliases,
        mode=model.mode,
        alive=model.lifecycle.alive_on(today),
        status=model.lifecycle.status,
        ends=model.lifecycle.ends,
        replacement=model.lifecycle.replacement,
        price=_price(catalog, provider, model.id, today),
        context_tokens=able.context_tokens,
        max_output_tokens=able.max_output_tokens,
        capabilities={name: getattr(able, name) for name in named},
        conservative=downgrades.conservative if downgrades else None,
        aggressive=downgrades.aggressive if downgrades else None,
        overridden=model.overridden,
    )


def _price(catalog: Catalog, provider: str, name: str, today: date) -> PriceView | None:
    match = catalog.price_at(provider, name, today)
    if match is None:
        return None
    rates = match.price.rates
    return PriceView(
        entry=match.price.entry,
        input_usd_per_mtok=_text(rates.get("input_mtok")),
        cached_usd_per_mtok=_text(rates.get("cache_read_mtok")),
        output_usd_per_mtok=_text(rates.get("output_mtok")),
        confident=not match.by_base,
        source=match.price.source,
        checked=match.price.checked,
    )


def _text(rate: Decimal | None) -> str | None:
    return None if rate is None else f"{rate:f}"


def _today(services: Services) -> date:
    return datetime.fromtimestamp(services.clock() / 1e6, UTC).date()
