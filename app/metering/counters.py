"""Reads counters out of a provider's usage object, whatever was written there."""

import math
import re
from typing import Any

MAX_COUNT = 2**53
"""More tokens than this is no count; every JSON reader holds whole numbers up to here exactly."""

CLAMPED = "usage_clamped"
IMPLAUSIBLE = "implausible_usage"

_NAME = re.compile(r"[A-Za-z0-9_.:/@-]{1,256}")


class Counters:
    """Reads counts and collects the flags of what had to be mended: less than 0 is 0, more than MAX_COUNT is that."""

    __slots__ = ("_flags",)

    def __init__(self) -> None:
        self._flags: list[str] = []

    @property
    def flags(self) -> tuple[str, ...]:
        """What was mended, each flag once."""
        return tuple(self._flags)

    def flag(self, name: str) -> None:
        """Note a doubt about the numbers."""
        if name not in self._flags:
            self._flags.append(name)

    def count(self, fields: dict[str, Any], *keys: str) -> int:
        """The count under the first of `keys` that has one; 0 if none has."""
        for key in keys:
            value = fields.get(key)
            if type(value) is int and 0 <= value <= MAX_COUNT:
                return value
            if value is not None:
                number = as_number(value)
                if number is not None:
                    return self.whole(number)
        return 0

    def whole(self, number: float) -> int:
        """`number` as a count: a fraction is rounded up, since no provider bills less than it counted."""
        if number < 0 or number != number:
            self.flag(CLAMPED)
            return 0
        if number > MAX_COUNT:
            self.flag(IMPLAUSIBLE)
            return MAX_COUNT
        return math.ceil(number)

    def rest(self, total: int, *parts: int) -> int:
        """What of `total` is left beside `parts`; 0 and a flag where the parts are more than the whole."""
        left = total - sum(parts)
        if left < 0:
            self.flag(CLAMPED)
            return 0
        return left


def as_number(value: Any) -> int | float | None:
    """`value` as a number, also if it was written as text; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and 0 < len(value) <= 40:
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return None
    return None


def fields_of(fields: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object under the first of `keys` that has one; empty if none has."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, dict):
            return value
    return {}


def plain_name(value: Any) -> str | None:
    """A model id, tier or kind; None if there is none, and `unreadable` for a text that is no such name."""
    if not isinstance(value, str) or not value:
        return None
    return value if _NAME.fullmatch(value) else "unreadable"
