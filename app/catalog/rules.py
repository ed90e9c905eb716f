"""What each row of the registry's files must be by itself; the loader stops at the first fault, check lists all."""

from collections.abc import Iterator, Sequence
from datetime import date

from app.catalog.assemble import Sources, price_layers
from app.catalog.files import ModelRow, PriceRow
from app.catalog.layers import Layer
from app.catalog.names import is_name
from app.catalog.price_list import tier_problems
from app.catalog.rates import rate_problems
from app.errors import RegistryError

STATUSES = ("alive", "deprecated", "retired", "unknown")
MODES = (
    "chat", "responses", "completion", "embedding", "moderation", "realtime",
    "audio_speech", "audio_transcription", "image_generation",
)  # fmt: skip
AUTHS = ("bearer", "x-api-key", "api-key")


def row_problems(sources: Sources) -> Iterator[RegistryError]:
    """Every fault that makes a row unusable."""
    yield from _provider_problems(sources)
    for provider, rows in sources.models.items():
        file = f"models/{provider}.toml"
        if provider not in sources.providers:
            yield RegistryError(file, "", f"there is no providers/{provider}.toml")
        for index, row in enumerate(rows):
            for where, problem in _model_problems(f"model[{index}]", row):
                yield RegistryError(file, where, problem)
    for index, override in enumerate(sources.overrides):
        where = f"override[{index}]"
        if override.provider not in sources.providers:
            yield RegistryError("overrides.toml", f"{where}.provider", f"{override.provider!r} is no provider")
        if not is_name(override.model):
            yield RegistryError("overrides.toml", f"{where}.model", f"{override.model[:40]!r} is no model name")
        for path, problem in _price_problems(where, override.price):
            yield RegistryError("overrides.toml", path, problem)


def until_problems(sources: Sources) -> Iterator[RegistryError]:
    """Hand-kept prices that end with nothing after them. Call it once the rows themselves are sound."""
    rows = [
        *((f"models/{name}.toml", name, row.id, row.price) for name, rows in sources.models.items() for row in rows),
        *(("overrides.toml", row.provider, row.model, row.price) for row in sources.overrides),
    ]
    for file, provider, model, prices in rows:
        for price in prices:
            if price.until is not None and not _price_on(price_layers(sources, (provider, model)), price.until):
                yield RegistryError(file, f"{model}.price.until", f"no price of {model} holds on {price.until}")


def _price_on(layers: Sequence[Layer], day: date) -> bool:
    return any(not price.when and price.holds_on(day) for layer in layers for price in layer)


def _provider_problems(sources: Sources) -> Iterator[RegistryError]:
    for provider in sources.providers.values():
        file = f"providers/{provider.id}.toml"
        for other in provider.catalog_from:
            if other not in sources.providers or other == provider.id:
                yield RegistryError(file, "catalog_from", f"{other!r} is no other provider")
        for where, auth in (("auth", provider.auth), *provider.auth_by_endpoint.items()):
            if auth not in AUTHS:
                yield RegistryError(file, where, f"{auth!r} is no way to sign in; known are {', '.join(AUTHS)}")


def _model_problems(where: str, row: ModelRow) -> Iterator[tuple[str, str]]:
    for name in (row.id, *row.aliases):
        if not is_name(name):
            yield where, f"{name[:40]!r} is no model name: lower case, no spaces, at most 200 characters"
    if row.mode is not None and row.mode not in MODES:
        yield f"{where}.mode", f"{row.mode!r} is unknown; known are {', '.join(MODES)}"
    if row.lifecycle is not None and row.lifecycle.status not in STATUSES:
        yield f"{where}.lifecycle.status", f"{row.lifecycle.status!r} is unknown; known are {', '.join(STATUSES)}"
    for part in ("lifecycle", "capabilities"):
        fact = getattr(row, part)
        if fact is not None and not fact.source.strip():
            yield f"{where}.{part}.source", "is empty: every fact names where it comes from"
    yield from _price_problems(where, row.price)


def _price_problems(where: str, rows: tuple[PriceRow, ...]) -> Iterator[tuple[str, str]]:
    for index, row in enumerate(rows):
        path = f"{where}.price[{index}]"
        yield from rate_problems(f"{path}.rates", row.rates)
        yield from tier_problems(path, row.tiers)
        if not row.source.strip():
            yield f"{path}.source", "is empty: every price names where it comes from"
        if row.until is not None and row.starts is not None and row.until <= row.starts:
            yield f"{path}.until", "must be after starts"
        if not row.rates:
            yield f"{path}.rates", "is empty"
