"""Rates as the registry writes them (decimal strings per unit), and the one place where they become Decimal."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from app.catalog.schema import UNITS

MAX_RATE_USD = Decimal(1_000_000)
MAX_DECIMALS = 9

_RATE = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)


def rate_problems(where: str, rates: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every (path, problem) of one table of rates: unknown units, signs, exponents, too many digits."""
    for unit, rate in rates.items():
        if unit not in UNITS:
            yield f"{where}.{unit}", f"unknown unit; known are {', '.join(UNITS)}"
        elif not _RATE.fullmatch(rate) or Decimal(rate) > MAX_RATE_USD:
            yield f"{where}.{unit}", f'{rate[:40]!r} is no rate; write US dollars like "0.15", with at most 9 decimals'


def decimal_rates(rates: Mapping[str, str]) -> dict[str, Decimal]:
    """The rates as Decimal; they have been checked with `rate_problems` before."""
    return {unit: Decimal(rate) for unit, rate in rates.items()}


def override_problem(rates: Mapping[str, Decimal]) -> str | None:
    """What is wrong with the rates of a team override, as a sentence; None if they can be used."""
    if not rates:
        return "a price needs at least one rate"
    for unit, rate in rates.items():
        if unit not in UNITS:
            return f"{unit[:40]!r} is no unit; known are {', '.join(UNITS)}"
        if not rate.is_finite() or rate < 0 or rate > MAX_RATE_USD:
            return f"{unit} must be between 0 and {MAX_RATE_USD:,} US dollars"
        exponent = rate.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
            return f"{unit} has more than {MAX_DECIMALS} decimals"
    return None
