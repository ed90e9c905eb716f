"""Rates that are no whole number of pico-dollars per unit: each row is rounded by itself, in whole numbers."""

from fractions import Fraction
from math import lcm

import msgspec

from app.domain import PICOUSD_PER_USD, Cost
from app.operations.advice_pieces import BUCKETS


class Card(msgspec.Struct, frozen=True):
    """What a kind of row costs: sum of count x numerator over `denominator`, rounded half to even.

    `terms` are (place in BUCKETS, numerator); without any, a row stays at what it cost.
    """

    terms: tuple[tuple[int, int], ...] | None
    output: tuple[tuple[int, int], ...]
    denominator: int

    def price(self, counts: tuple[int, ...], recorded_picousd: int) -> tuple[int, int]:
        """Pico-dollars of one row, and of its output (rounded down)."""
        if self.terms is None:
            return recorded_picousd, 0
        whole, rest = divmod(sum(counts[place] * rate for place, rate in self.terms), self.denominator)
        if rest * 2 > self.denominator or (rest * 2 == self.denominator and whole % 2):
            whole += 1
        return whole, sum(counts[place] * rate for place, rate in self.output) // self.denominator


def card_of(own: Cost | None, other: Cost | None) -> Card | None:
    """The card of rows like the one that costs `own` at its model, `other` at the target (None: stays).

    None where a bucket is billed twice, as further passes are: then each row needs a bill of its own.
    """
    chosen = other or own
    if chosen is None:
        return Card(None, (), 1)
    places = {name: number for number, name in enumerate(BUCKETS)}
    rates = {line.bucket: Fraction(line.rate_usd) * PICOUSD_PER_USD / line.per for line in chosen.lines}
    if len(rates) != len(chosen.lines):
        return None
    denominator = lcm(1, *(rate.denominator for rate in rates.values()))
    terms = tuple((places[name], int(rate * denominator)) for name, rate in rates.items())
    output = tuple((place, rate) for place, rate in terms if BUCKETS[place].startswith("output"))
    return Card(terms, () if other is None else output, denominator)
