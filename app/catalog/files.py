"""The hand-kept TOML files of the registry as Structs, and the messages for what is wrong in them.

Keys that no Struct names are errors, because a misspelt key would silently be a missing fact.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.catalog.policy import PolicyFile, TaskRow, ThresholdRow
from app.catalog.price_list import TierRow
from app.errors import RegistryError


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """A table that takes only the keys it names."""


class ProviderRow(_Row):
    """registry/providers/<id>.toml; the keys are the fields of `schema.Provider`."""

    id: str
    name: str
    base_url: str
    base_url_setting: str
    key_setting: str
    path_prefix: str
    auth: str
    detection_note: str
    endpoint_note: str
    endpoints: dict[str, str]
    match: "MatchRow"
    auth_by_endpoint: dict[str, str] = {}
    key_prefixes: tuple[str, ...] = ()
    asks_for_stream_usage: bool = False
    default_headers: dict[str, str] = {}
    catalog_from: tuple[str, ...] = ()


class MatchRow(_Row):
    """`[match]` of a provider."""

    prefixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class LifecycleRow(_Row):
    """`lifecycle` of a model."""

    status: str
    source: str
    checked: date
    ends: date | None = None
    replacement: str | None = None


class CapabilitiesRow(_Row):
    """`capabilities` of a model; a key left out is not known."""

    source: str
    checked: date
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    images: bool | None = None
    audio: bool | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    json_mode: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None


class DowngradesRow(_Row):
    """`listed` (the product's fixed table) or `living` (among today's models) of a model."""

    conservative: str | None = None
    moderate: str | None = None
    aggressive: str | None = None


class PriceRow(_Row):
    """A hand-kept price. `until` is the first day on which it no longer holds and the layer below does again."""

    rates: dict[str, str]
    source: str
    checked: date
    starts: date | None = None
    until: date | None = None
    tiers: tuple[TierRow, ...] = ()
    when: dict[str, str] = {}


class ModelRow(_Row):
    """One `[[model]]` of registry/models/<provider>.toml. `price_of` takes the generated prices of another id.

    `not_aliases` takes names away that the price list matches and the provider never had.
    """

    id: str
    aliases: tuple[str, ...] = ()
    not_aliases: tuple[str, ...] = ()
    mode: str | None = None
    routing_target: bool = False
    served: bool = True
    price_of: str | None = None
    price: tuple[PriceRow, ...] = ()
    lifecycle: LifecycleRow | None = None
    capabilities: CapabilitiesRow | None = None
    listed: DowngradesRow | None = None
    living: DowngradesRow | None = None


class ModelsFile(_Row):
    """registry/models/<provider>.toml."""

    schema: int
    model: tuple[ModelRow, ...] = ()


class OverrideRow(_Row):
    """One `[[override]]` of registry/overrides.toml: prices that mend the lists below, with their reason."""

    provider: str
    model: str
    reason: str
    price: tuple[PriceRow, ...]


class OverridesFile(_Row):
    """registry/overrides.toml."""

    schema: int
    override: tuple[OverrideRow, ...] = ()


_File = TypeVar("_File", bound=msgspec.Struct)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_AT = re.compile(r"(?P<problem>.*?) - at `\$\.?(?P<path>[^`]*)`", re.DOTALL)
_MAX_FILE_BYTES = 4 * 1024 * 1024


def read_toml(path: Path, file: str) -> dict[str, Any]:
    """The file as plain values. `file` names it in errors. Raises RegistryError."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise RegistryError(file, "", "is larger than 4 MiB")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistryError(file, "", f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RegistryError(file, "", "is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise RegistryError(file, "", f"is no TOML: {error}") from error


def convert(values: Mapping[str, Any], shape: type[_File], file: str) -> _File:
    """The values as `shape`. Raises RegistryError that names the path and, for a misspelt key, the one meant."""
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        raise _explained(str(error), file) from error


def _explained(message: str, file: str) -> RegistryError:
    unknown = _UNKNOWN.match(message)
    if unknown:
        path = ".".join(part for part in (unknown["path"] or "", unknown["key"]) if part)
        meant = difflib.get_close_matches(unknown["key"], _known_keys(), 1)
        return RegistryError(file, path, "unknown key" + (f"; did you mean {meant[0]}?" if meant else ""))
    at = _AT.match(message)
    if at:
        problem = at["problem"]
        return RegistryError(file, at["path"], problem[:1].lower() + problem[1:])
    return RegistryError(file, "", message)


def file_shapes() -> tuple[type[msgspec.Struct], ...]:
    """Every table of the registry's TOML files: what registry/README.md documents."""
    return (
        ProviderRow, MatchRow, ModelsFile, ModelRow, LifecycleRow, CapabilitiesRow, DowngradesRow, PriceRow, TierRow,
        OverridesFile, OverrideRow, PolicyFile, TaskRow, ThresholdRow,
    )  # fmt: skip


def _known_keys() -> list[str]:
    return sorted({field.encode_name for shape in file_shapes() for field in msgspec.structs.fields(shape)})
