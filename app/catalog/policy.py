"""registry/policy.toml as values: the task table and the thresholds, each with its reason."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.errors import RegistryError

LEVELS = ("aggressive", "moderate", "conservative", "never")
_FILE = "policy.toml"


class TaskRow(msgspec.Struct, forbid_unknown_fields=True):
    """How far down a task may go with a short and with a long prompt."""

    name: str
    short: str
    long: str
    reason: str


class ThresholdRow(msgspec.Struct, forbid_unknown_fields=True):
    """One number of the advice engine. Whole numbers stand as such, all others as decimal strings."""

    value: int | str
    reason: str


class PolicyFile(msgspec.Struct, forbid_unknown_fields=True):
    """registry/policy.toml."""

    schema: int
    provider_order: tuple[str, ...]
    listed_order: tuple[str, ...]
    task: tuple[TaskRow, ...]
    threshold: dict[str, ThresholdRow]


def threshold(policy: Mapping[str, Any], name: str) -> Decimal:
    """The value of one threshold. Raises RegistryError where policy.toml has none of that name."""
    entry = policy.get("threshold", {}).get(name)
    if entry is None:
        raise RegistryError(_FILE, f"threshold.{name}", "is missing")
    return Decimal(str(entry["value"]))
