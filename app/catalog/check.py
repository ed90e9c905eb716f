"""`lectr registry check`: everything that must hold of the registry, each fault with file and path."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from app.catalog.assemble import Sources, build_models
from app.catalog.catalog import Catalog
from app.catalog.check_downgrades import downgrade_problems
from app.catalog.check_matchers import matcher_problems
from app.catalog.files import ModelRow, ModelsFile, OverridesFile, ProviderRow, convert, read_toml
from app.catalog.load import PRICE_LIST, read_sources
from app.catalog.policy import LEVELS, PolicyFile
from app.catalog.price_list import MAX_BYTES, PriceList, problems_of
from app.catalog.rules import row_problems, until_problems
from app.domain import TASKS
from app.errors import RegistryError

UNTAGGED = "untagged"


def check_registry(registry_dir: Path) -> list[RegistryError]:
    """All faults of the registry, file by file; empty if it is sound. Never raises for what a file says."""
    faults = list(_file_problems(registry_dir))
    if faults:
        return faults
    try:
        sources = read_sources(registry_dir)
        faults = [*row_problems(sources), *_order_problems(sources)]
        if faults:
            return faults
        catalog = Catalog(sources)
    except RegistryError as error:
        return [error]
    return [
        *until_problems(sources),
        *_overlap_problems(sources),
        *matcher_problems(sources, build_models(sources)),
        *_policy_problems(sources),
        *_fact_problems(sources, catalog),
        *downgrade_problems(sources, catalog),
    ]


def _file_problems(registry_dir: Path) -> Iterator[RegistryError]:
    """What keeps a file from being read at all, unknown keys above all."""
    shapes: list[tuple[Path, type[msgspec.Struct]]] = [
        *((path, ProviderRow) for path in sorted((registry_dir / "providers").glob("*.toml"))),
        *((path, ModelsFile) for path in sorted((registry_dir / "models").glob("*.toml"))),
        (registry_dir / "overrides.toml", OverridesFile),
        (registry_dir / "policy.toml", PolicyFile),
    ]
    for path, shape in shapes:
        file = path.relative_to(registry_dir).as_posix()
        try:
            convert(read_toml(path, file), shape, file)
        except RegistryError as error:
            yield error
    try:
        document = (registry_dir / PRICE_LIST).read_bytes()
        if len(document) > MAX_BYTES:
            yield RegistryError(PRICE_LIST, "", f"is larger than {MAX_BYTES:,} bytes")
        yield from _price_list_problems(msgspec.json.decode(document, type=PriceList))
    except OSError as error:
        yield RegistryError(PRICE_LIST, "", f"cannot be read: {error.strerror or error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield RegistryError(PRICE_LIST, "", f"is no price list: {error}")


def _order_problems(sources: Sources) -> Iterator[RegistryError]:
    for provider, rows in sources.models.items():
        for index, (before, row) in enumerate(pairwise(rows), start=1):
            if row.id == before.id:
                yield RegistryError(f"models/{provider}.toml", f"model[{index}].id", f"{row.id} stands here twice")
            elif row.id < before.id:
                problem = f"{row.id} comes after {before.id}: ids are sorted, so that a second entry is seen"
                yield RegistryError(f"models/{provider}.toml", f"model[{index}].id", problem)


def _price_list_problems(listed: PriceList) -> Iterator[RegistryError]:
    for where, problem in problems_of(listed):
        yield RegistryError(PRICE_LIST, where, problem)
    names = [(model.provider, model.id) for model in listed.models]
    if names != sorted(names):
        yield RegistryError(PRICE_LIST, "models", "is not sorted; make it with `lectr registry refresh`")


def _overlap_problems(sources: Sources) -> Iterator[RegistryError]:
    """A name that two models of a provider claim."""
    claimed: dict[tuple[str, str], str] = {}
    for model in build_models(sources).values():
        for name in (model.id, *model.aliases):
            owner = claimed.setdefault((model.provider, name), model.id)
            if owner != model.id:
                where = _place(sources, model.provider, model.id)
                problem = f"{name} is claimed by {owner} and by {model.id}"
                yield RegistryError(f"models/{model.provider}.toml", where, problem)


def _policy_problems(sources: Sources) -> Iterator[RegistryError]:
    policy = convert(sources.policy, PolicyFile, "policy.toml")
    if set(policy.provider_order) != set(sources.providers):
        yield RegistryError("policy.toml", "provider_order", f"must name exactly {', '.join(sources.providers)}")
    targets = {row.id for rows in sources.models.values() for row in rows if row.routing_target}
    for model in sorted(targets ^ set(policy.listed_order)):
        problem = f"{model} is {'missing here' if model in targets else 'no routing target'}"
        yield RegistryError("policy.toml", "listed_order", problem)
    if len(set(policy.listed_order)) != len(policy.listed_order):
        yield RegistryError("policy.toml", "listed_order", "names a model twice")
    if {task.name for task in policy.task} != {*TASKS, UNTAGGED}:
        yield RegistryError("policy.toml", "task", f"must have exactly {', '.join((*TASKS, UNTAGGED))}")
    for index, task in enumerate(policy.task):
        for length, level in (("short", task.short), ("long", task.long)):
            if level not in LEVELS:
                yield RegistryError("policy.toml", f"task[{index}].{length}", f"{level!r} is none of {LEVELS}")
            if task.name == "reasoning" and level != "never":
                yield RegistryError("policy.toml", f"task[{index}].{length}", "reasoning is never advised")
    for name, entry in policy.threshold.items():
        if not entry.reason.strip():
            yield RegistryError(
                "policy.toml", f"threshold.{name}.reason", "is empty: every value stands with its reason"
            )
        if isinstance(entry.value, str) and not entry.value.replace(".", "", 1).isdecimal():
            yield RegistryError("policy.toml", f"threshold.{name}.value", f"{entry.value!r} is no number")


def _fact_problems(sources: Sources, catalog: Catalog) -> Iterator[RegistryError]:
    for provider, rows in sources.models.items():
        for index, row in enumerate(rows):
            for where, problem in (
                *_lifecycle_problems(row, provider, catalog),
                *_name_problems(row, provider, sources),
            ):
                yield RegistryError(f"models/{provider}.toml", f"model[{index}].{where}", problem)


def _lifecycle_problems(row: ModelRow, provider: str, catalog: Catalog) -> Iterator[tuple[str, str]]:
    life = row.lifecycle
    if life is None:
        if row.routing_target or row.living is not None:
            yield "lifecycle", f"{row.id} has none, and routing targets and downgrades need one"
        return
    if life.status == "alive" and life.ends is not None:
        yield "lifecycle.status", f"{row.id} ends on {life.ends}: deprecated, not alive"
    if life.status == "deprecated" and life.ends is None:
        yield "lifecycle.ends", f"{row.id} is deprecated without a day"
    if life.ends is not None and (life.status == "retired") != (life.ends <= catalog.listed_on):
        yield (
            "lifecycle.status",
            f"{row.id} is {life.status} and ends on {life.ends}; the registry is of {catalog.listed_on}",
        )
    if life.replacement is not None and catalog.find(life.replacement, provider) is None:
        yield "lifecycle.replacement", f"{provider} lists no {life.replacement}"


def _name_problems(row: ModelRow, provider: str, sources: Sources) -> Iterator[tuple[str, str]]:
    listed = {name for model in sources.price_list.models if model.provider == provider for name in model.aliases}
    for name in row.not_aliases:
        if name not in listed:
            yield "not_aliases", f"{name} is no alias in the price list any more"


def _place(sources: Sources, provider: str, model: str) -> str:
    ids = [row.id for row in sources.models.get(provider, ())]
    return f"model[{ids.index(model)}]" if model in ids else model
