"""A small catalog whose providers are the registry's own and whose few models are written here."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from app.catalog.catalog import Catalog, normalise
from app.catalog.schema import Model, Provider

REGISTRY = Path(__file__).resolve().parents[2] / "registry"
PROVIDER_IDS = ("openai", "anthropic", "groq", "gemini", "azure")

LISTED = {
    "gpt-4o": ("openai",),
    "claude-3-haiku-20240307": ("anthropic",),
    "gemma2-9b-it": ("groq",),
    "openai/gpt-oss-120b": ("groq",),
    "gemini-2.5-flash": ("gemini",),
    "shared-model": ("openai", "groq"),
}


def registry_providers() -> dict[str, Provider]:
    """The providers as their files describe them, in the catalog's order."""
    return {
        id: msgspec.toml.decode((REGISTRY / "providers" / f"{id}.toml").read_bytes(), type=Provider)
        for id in PROVIDER_IDS
    }


class SmallCatalog:
    """The look-ups that detection uses, over LISTED."""

    def __init__(self, providers: Mapping[str, Provider] | None = None) -> None:
        self.providers = registry_providers() if providers is None else providers

    def find(self, name: str, provider: str | None = None) -> Model | None:
        owners = self.owners(name)
        return Model(provider=owners[0], id=normalise(name)) if owners else None

    def owners(self, name: str) -> tuple[str, ...]:
        return LISTED.get(normalise(name), ())

    def near(self, name: str, limit: int = 3) -> tuple[str, ...]:
        return tuple(id for id in LISTED if id[:3] == normalise(name)[:3])[:limit]


def small_catalog(providers: Mapping[str, Provider] | None = None) -> Catalog:
    """A SmallCatalog where a Catalog is asked for."""
    return cast(Catalog, SmallCatalog(providers))
