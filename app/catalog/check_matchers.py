"""The rules of matchers: each compiles, no two providers have the same, and none takes another's listed name."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from app.catalog.assemble import Sources
from app.catalog.schema import Model, Provider
from app.errors import RegistryError


def matcher_problems(sources: Sources, models: Mapping[tuple[str, str], Model]) -> Iterator[RegistryError]:
    """Every fault of the providers' `match` tables and key prefixes."""
    broken = list(_pattern_problems(sources))
    yield from broken
    yield from _shared_clauses(sources)
    if not broken:
        yield from _stolen_names(sources, models)


def _pattern_problems(sources: Sources) -> Iterator[RegistryError]:
    for provider in sources.providers.values():
        file = f"providers/{provider.id}.toml"
        for kind, patterns in (("patterns", provider.match.patterns), ("never", provider.match.never)):
            for index, pattern in enumerate(patterns):
                where = f"match.{kind}[{index}]"
                try:
                    re.compile(pattern)
                except re.error as error:
                    yield RegistryError(file, where, f"{pattern!r} is no regular expression: {error}")
                if kind == "patterns" and not pattern.startswith("^"):
                    yield RegistryError(file, where, f"{pattern!r} is not anchored: begin it with ^")


def _shared_clauses(sources: Sources) -> Iterator[RegistryError]:
    owners: dict[tuple[str, str], str] = {}
    for provider in sources.providers.values():
        clauses = {
            "match.prefixes": provider.match.prefixes,
            "match.patterns": provider.match.patterns,
            "key_prefixes": provider.key_prefixes,
        }
        for where, values in clauses.items():
            for value, count in Counter(values).items():
                owner = owners.setdefault((where, value), provider.id)
                if owner != provider.id or count > 1:
                    other = f"also one of {owner}" if owner != provider.id else "here twice"
                    yield RegistryError(f"providers/{provider.id}.toml", where, f"{value!r} is {other}")


def _stolen_names(sources: Sources, models: Mapping[tuple[str, str], Model]) -> Iterator[RegistryError]:
    """Names that the registry lists under one provider and the clauses give to another."""
    automatic = [provider for provider in sources.providers.values() if not provider.catalog_from]
    for model in models.values():
        if not model.served or model.provider not in {provider.id for provider in automatic}:
            continue
        for name in (model.id, *model.aliases):
            covered = {provider.id: _covered(provider, name) for provider in automatic}
            longest = max(covered.values(), default=0)
            takers = [provider for provider, length in covered.items() if length == longest and length]
            if takers and takers != [model.provider]:
                problem = f"{name} is a model of {model.provider}, and matched by {', '.join(takers)}"
                yield RegistryError(f"providers/{takers[-1]}.toml", "match", problem)


def _covered(provider: Provider, name: str) -> int:
    """How many characters of `name` the provider's longest clause covers; 0 where `never` or nothing matches."""
    if any(re.search(pattern, name) for pattern in provider.match.never):
        return 0
    prefixes = [len(prefix) for prefix in provider.match.prefixes if name.startswith(prefix)]
    patterns = [found.end() for pattern in provider.match.patterns if (found := re.match(pattern, name))]
    return max(prefixes + patterns, default=0)
