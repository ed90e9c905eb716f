"""Reads registry/ into a Catalog. What is wrong in it is said with file and path, and nothing is half loaded."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from app.catalog.assemble import Sources
from app.catalog.catalog import Catalog
from app.catalog.files import ModelRow, ModelsFile, OverrideRow, OverridesFile, ProviderRow, convert, read_toml
from app.catalog.policy import PolicyFile
from app.catalog.price_list import decode_price_list
from app.catalog.rules import row_problems, until_problems
from app.catalog.schema import MatchClauses, Provider
from app.errors import RegistryError

PRICE_LIST = "prices.json"


def load_catalog(registry_dir: Path) -> Catalog:
    """The catalog of `registry_dir`. Raises RegistryError for the first thing that cannot be used."""
    sources = read_sources(registry_dir)
    problem = next(chain(row_problems(sources), until_problems(sources)), None)
    if problem is not None:
        raise problem
    return Catalog(sources)


def read_sources(registry_dir: Path) -> Sources:
    """All files of the registry, decoded. Raises RegistryError where one is missing or has the wrong shape."""
    policy = read_toml(registry_dir / "policy.toml", "policy.toml")
    convert(policy, PolicyFile, "policy.toml")
    return Sources(
        registry_dir=registry_dir,
        providers=read_providers(registry_dir, policy),
        models=_read_models(registry_dir),
        overrides=_read_overrides(registry_dir),
        price_list=decode_price_list(_read_price_list(registry_dir), file=PRICE_LIST),
        policy=policy,
    )


def read_providers(registry_dir: Path, policy: Mapping[str, Any]) -> dict[str, Provider]:
    """Providers by id: those of `provider_order` in policy.toml first, in its order, then all others by name."""
    found: dict[str, Provider] = {}
    for path in sorted((registry_dir / "providers").glob("*.toml")):
        file = f"providers/{path.name}"
        row = convert(read_toml(path, file), ProviderRow, file)
        if row.id != path.stem:
            raise RegistryError(file, "id", f"is {row.id}, the file is named {path.stem}")
        found[row.id] = _provider(row)
    if not found:
        raise RegistryError("providers", "", "has no provider")
    order = {name: place for place, name in enumerate(policy.get("provider_order", ()))}
    return {name: found[name] for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))}


def _provider(row: ProviderRow) -> Provider:
    fields = {field.name: getattr(row, field.name) for field in msgspec.structs.fields(row) if field.name != "match"}
    return Provider(match=MatchClauses(row.match.prefixes, row.match.patterns, row.match.never), **fields)


def _read_models(registry_dir: Path) -> dict[str, tuple[ModelRow, ...]]:
    models: dict[str, tuple[ModelRow, ...]] = {}
    for path in sorted((registry_dir / "models").glob("*.toml")):
        file = f"models/{path.name}"
        models[path.stem] = convert(read_toml(path, file), ModelsFile, file).model
    return models


def _read_overrides(registry_dir: Path) -> tuple[OverrideRow, ...]:
    path = registry_dir / "overrides.toml"
    if not path.exists():
        return ()
    return convert(read_toml(path, path.name), OverridesFile, path.name).override


def _read_price_list(registry_dir: Path) -> bytes:
    try:
        return (registry_dir / PRICE_LIST).read_bytes()
    except OSError as error:
        raise RegistryError(PRICE_LIST, "", f"cannot be read: {error.strerror or error}") from error
