"""The rules of downgrades: never across providers or to nothing, and a living one only to what lives and saves."""

from collections.abc import Iterator

from app.catalog.assemble import Sources
from app.catalog.catalog import Catalog
from app.catalog.files import DowngradesRow, ModelRow
from app.catalog.schema import Model, Price
from app.errors import RegistryError

LEVELS = ("conservative", "moderate", "aggressive")
LISTED_CAPABILITIES = (
    "context_tokens", "max_output_tokens", "images", "audio", "tools", "json_mode", "json_schema", "reasoning",
    "source", "checked",
)  # fmt: skip
LIVING_CAPABILITIES = (*LISTED_CAPABILITIES, "parallel_tools")


def downgrade_problems(sources: Sources, catalog: Catalog) -> Iterator[RegistryError]:
    """Every fault of the `listed` and `living` downgrades and of the facts that they need."""
    for provider, rows in sources.models.items():
        for index, row in enumerate(rows):
            file, where = f"models/{provider}.toml", f"model[{index}]"
            if row.routing_target:
                yield from _missing(catalog, provider, row.id, LISTED_CAPABILITIES, file, f"{where}.capabilities")
            for kind, downgrades in (("listed", row.listed), ("living", row.living)):
                for level, target in _targets(downgrades):
                    for problem in _edge_problems(catalog, provider, row, kind, target):
                        yield RegistryError(file, f"{where}.{kind}.{level}", problem)
                    if kind == "living":
                        path = f"{where}.living.{level}"
                        yield from _missing(catalog, provider, target, LIVING_CAPABILITIES, file, path)
            if row.living is not None:
                yield from _missing(catalog, provider, row.id, LIVING_CAPABILITIES, file, f"{where}.capabilities")


def _targets(downgrades: DowngradesRow | None) -> Iterator[tuple[str, str]]:
    for level in LEVELS:
        target = getattr(downgrades, level) if downgrades is not None else None
        if target is not None:
            yield level, target


def _missing(
    catalog: Catalog, provider: str, model_id: str, needed: tuple[str, ...], file: str, where: str
) -> Iterator[RegistryError]:
    model = catalog.find(model_id, provider)
    if model is None:
        return
    missing = [name for name in needed if getattr(model.capabilities, name) in (None, "")]
    if missing:
        yield RegistryError(file, where, f"{model_id} has no {', '.join(missing)}: unknown never counts as fit")


def _edge_problems(catalog: Catalog, provider: str, row: ModelRow, kind: str, target_id: str) -> Iterator[str]:
    target = catalog.find(target_id, provider)
    if target is None or target.provider != provider:
        owners = [owner for owner in catalog.owners(target_id) if owner != provider]
        yield (
            f"{target_id} is a model of {', '.join(owners)}: a downgrade never crosses providers"
            if owners
            else f"{target_id} is no model of {provider}"
        )
        return
    if target.id == row.id:
        yield "a model is no downgrade of itself"
    if target.id != target_id:
        yield f"{target_id} is an alias of {target.id}; write the id"
    if kind == "listed":
        if not target.routing_target:
            yield f"{target_id} is no routing target"
        return
    yield from _living_problems(catalog, row, target)


def _living_problems(catalog: Catalog, row: ModelRow, target: Model) -> Iterator[str]:
    day = catalog.listed_on
    if not target.lifecycle.alive_on(day):
        yield f"{target.id} is not alive on {day} ({target.lifecycle.status})"
    before = catalog.price_at(target.provider, row.id, day)
    after = catalog.price_at(target.provider, target.id, day)
    if before is None or after is None:
        yield f"{row.id if before is None else target.id} has no price on {day}"
    elif not _saves(before.price, after.price):
        yield f"{target.id} does not cost less than {row.id} on {day}: newer or smaller does not mean cheaper"


def _saves(before: Price, after: Price) -> bool:
    units = ("input_mtok", "output_mtok")
    return all(
        unit in before.rates and unit in after.rates and after.rates[unit] < before.rates[unit] for unit in units
    )
