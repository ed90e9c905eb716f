"""What a group costs now and what it would cost on another model: exact sums, a range, and where it stops to pay."""

from decimal import ROUND_FLOOR, Decimal

import msgspec

from app.catalog.schema import Model
from app.recommendation.traffic import Group, Pricing

DAYS_OF_A_MONTH = 30


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """One group at its own model (`current`) and at a target (`candidate`), both at today's prices, in pico-dollars.

    Requests that do not fit or have no price at the target are among both, at the same price. `low` and `high` are
    the saving if answers get longer or shorter by the policy's share. `break_even` is how many times longer they may
    get before nothing is saved, None where answers cost nothing.
    """

    requests: int
    moved: int
    kept: int
    recorded_picousd: int
    current_picousd: int
    candidate_picousd: int
    low_picousd: int
    high_picousd: int
    break_even: Decimal | None
    entries: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def saved_picousd(self) -> int:
        """What would have been saved; negative where the target costs more."""
        return self.current_picousd - self.candidate_picousd

    @property
    def share(self) -> Decimal:
        """The saving as a share of the current cost, 0 where that is 0."""
        return Decimal(self.saved_picousd) / self.current_picousd if self.current_picousd else Decimal(0)

    @property
    def percent(self) -> int:
        """The same in whole per cent; 34 = a third cheaper, -127 = costs more than double."""
        return round(self.share * 100)

    def per_month(self, days: int) -> int:
        """The saving of 30 such days as pico-dollars, of a window of `days` days."""
        return self.saved_picousd * DAYS_OF_A_MONTH // max(days, 1)


def saving(group: Group, target: Model | None, price: Pricing, output_range: Decimal) -> Saving:
    """The group against one target (None: its own model), summed over its slices."""
    current = candidate = output = moved = kept = 0
    entries: set[str] = set()
    flags: set[str] = set()
    for part in group.slices:
        own, other = price(part, group, None), price(part, group, target)
        current += own.picousd
        candidate += other.picousd
        output += other.output_picousd
        moved += other.moved
        kept += other.kept
        entries |= own.entries | other.entries
        flags |= other.flags
    either_way = int((output * output_range).to_integral_value(ROUND_FLOOR))
    saved = current - candidate
    return Saving(
        requests=group.requests,
        moved=moved,
        kept=kept,
        recorded_picousd=group.recorded_picousd,
        current_picousd=current,
        candidate_picousd=candidate,
        low_picousd=saved - either_way,
        high_picousd=saved + either_way,
        break_even=_break_even(current, candidate, output),
        entries=tuple(sorted(entries)),
        flags=tuple(sorted(flags)),
    )


def _break_even(current: int, candidate: int, output: int) -> Decimal | None:
    """The f at which candidate - output + f * output = current; never below 0."""
    if not output:
        return None
    factor = Decimal(current - (candidate - output)) / output
    return max(factor, Decimal(0)).quantize(Decimal("0.1"), rounding=ROUND_FLOOR)
