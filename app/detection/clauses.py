"""Match clauses and key shapes of the providers, compiled once per catalog.

A name fits a provider by its longest plain prefix or anchored pattern, unless one of the provider's `never`
patterns is found in it. All names are taken normalised (trimmed, lower-case, without `models/`).
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from app.catalog.schema import Provider

# Longer than any id seen, fine-tunes included; keeps hostile names away from the regular expressions.
MAX_NAME_CHARACTERS = 512


class Fit(msgspec.Struct, frozen=True):
    """One provider whose clause covers the first `length` characters of a name; `refused_by` is a `never` pattern."""

    provider: str
    clause: str
    length: int
    refused_by: str | None = None


class ProviderClauses:
    """The clauses of one provider, ready to be asked."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider.id
        self._prefixes = tuple(sorted(provider.match.prefixes, key=len, reverse=True))
        self._patterns = tuple(re.compile(pattern) for pattern in provider.match.patterns)
        self._never = tuple(re.compile(pattern) for pattern in provider.match.never)

    @property
    def automatic(self) -> bool:
        """False for a provider that no name leads to (azure)."""
        return bool(self._prefixes or self._patterns)

    def fit(self, name: str) -> Fit | None:
        """The longest clause that the name fits, refused or not; None where none does."""
        length, clause = 0, ""
        if name.startswith(self._prefixes):
            clause = next(prefix for prefix in self._prefixes if name.startswith(prefix))
            length = len(clause)
        for pattern in self._patterns:
            found = pattern.match(name)
            if found is not None and found.end() > length:
                length, clause = found.end(), pattern.pattern
        if not length:
            return None
        refused_by = next((pattern.pattern for pattern in self._never if pattern.search(name)), None)
        return Fit(self.provider, clause, length, refused_by)


class Clauses:
    """The clauses of all providers, in the catalog's order."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._all = tuple(clauses for clauses in map(ProviderClauses, providers) if clauses.automatic)
        self.automatic = frozenset(clauses.provider for clauses in self._all)

    def fits(self, name: str) -> list[Fit]:
        """Every provider whose clauses the name fits, refused ones included, the longest first."""
        if len(name) > MAX_NAME_CHARACTERS:
            return []
        found = [fit for clauses in self._all if (fit := clauses.fit(name)) is not None]
        return sorted(found, key=lambda fit: -fit.length)

    def best(self, name: str) -> Fit | None:
        """The longest fit that is not refused; among equals the provider that comes first."""
        return next((fit for fit in self.fits(name) if fit.refused_by is None), None)


class KeyShape(msgspec.Struct, frozen=True):
    """What the beginning of a provider key says. `certain` is True where it names one company and no other."""

    provider: str
    prefix: str
    certain: bool


class KeyShapes:
    """The beginnings of provider keys. Only these, never a key itself, appear in what Lectr says."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        owned = [(prefix, provider.id) for provider in providers.values() for prefix in provider.key_prefixes]
        # `sk-` is also the beginning of `sk-ant-`, and of many other companies' keys: it names nobody for certain.
        self._shapes = tuple(
            KeyShape(owner, prefix, not any(other.startswith(prefix) for other, whose in owned if whose != owner))
            for prefix, owner in sorted(owned, key=lambda item: -len(item[0]))
        )
        self._prefixes = tuple(shape.prefix for shape in self._shapes)

    def of(self, key: str | None) -> KeyShape | None:
        """The longest shape the key begins with; None for no key and for keys without a known shape."""
        if not key or not key.startswith(self._prefixes):
            return None
        return next(shape for shape in self._shapes if key.startswith(shape.prefix))
