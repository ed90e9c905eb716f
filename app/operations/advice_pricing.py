"""Prices recorded requests at another model: exactly what each would have cost, to the last pico-dollar.

A cost is linear in its buckets at one rate. So a slice of requests is priced by its sums, but only where that is
proven: the price that the rows name, applied to the sums, must give the recorded sum itself, and no rate may need
rounding. Everything else (images, searches, a speed or region of its own, requests that may not fit) is read again
and priced row by row.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from app.catalog.catalog import Catalog, PriceMatch
from app.catalog.schema import Model
from app.domain import BillLine, Cost, LedgerEntry, Usage
from app.metering.cost import bill_of
from app.metering.repricing import usage_of
from app.recommendation.traffic import Bill, Group, Slice, fits

_PICOUSD_PER_TOKEN = 10**6
"""US dollars per million tokens times this are pico-dollars per token."""
_BREATH_EVERY = 32


class _OnePrice:
    """A catalog that knows one price, whatever it is asked."""

    def __init__(self, match: PriceMatch) -> None:
        self._match = match

    def price_at(self, provider: str, name: str, on: date, conditions: Mapping[str, str] = {}) -> PriceMatch:
        return self._match


class Priced(msgspec.Struct, frozen=True):
    """One request at its own model and at a target, both at today's prices; `moved` False where it stays."""

    entry: LedgerEntry
    current_picousd: int
    candidate_picousd: int
    moved: bool


class Pricer:
    """The engine's `Pricing`. `rows` gives the rows of a slice again; `on` is the day whose prices are in force."""

    def __init__(self, catalog: Catalog, on: date, rows: Callable[[Slice], Iterable[LedgerEntry]]) -> None:
        self._catalog = catalog
        self._on = on
        self._rows = rows
        self._entries = {price.entry: PriceMatch(m, price, False) for m in catalog.models for price in m.prices}
        self._proven: dict[int, bool] = {}
        self._own: dict[int, Bill] = {}
        self._calls = 0

    def __call__(self, part: Slice, group: Group, target: Model | None) -> Bill:
        """The slice at `target`, None for its own model. Slices must outlive this pricer."""
        self._calls += 1
        if self._calls % _BREATH_EVERY == 0:
            # Whoever waits for the interpreter, the event loop above all, has it now.
            time.sleep(0)
        if target is not None:
            return self._at(part, group, target)
        own = self._own.get(id(part))
        if own is None:
            own = self._own[id(part)] = self._at_own(part, group)
        return own

    def _at_own(self, part: Slice, group: Group) -> Bill:
        cost = self._summed(part, group, None)
        return self._row_by_row(part, group, None) if cost is None else _bill(cost, part.requests)

    def _at(self, part: Slice, group: Group, target: Model) -> Bill:
        if self._catalog.price_at(group.provider, target.id, self._on) is None:
            return Bill(self(part, group, None).picousd, 0, 0, part.requests)
        if not fits(target.capabilities, part.most_context, part.most_output):
            return self._row_by_row(part, group, target)
        cost = self._summed(part, group, target)
        return self._row_by_row(part, group, target) if cost is None else _bill(cost, part.requests)

    def _summed(self, part: Slice, group: Group, target: Model | None) -> Cost | None:
        """The slice's cost from its sums; None where only the rows themselves can say it."""
        if not self._is_proven(part, group):
            return None
        cost = self._cost(part.usage, group, part.response_model, part.service_tier, target)
        return cost if _is_linear(cost) else None

    def _is_proven(self, part: Slice, group: Group) -> bool:
        known = self._proven.get(id(part))
        if known is None:
            match = self._entries.get(part.price_entry or "")
            cost = None
            if match is not None:
                cost = bill_of(
                    _OnePrice(match),
                    part.usage,
                    provider=group.provider,
                    response_model=match.model.id,
                    request_model=None,
                    service_tier=None,
                    on=self._on,
                )
            known = cost is not None and _is_linear(cost) and cost.picousd == part.recorded_picousd
            self._proven[id(part)] = known
        return known

    def _cost(
        self, usage: Usage, group: Group, response_model: str | None, service_tier: str | None, target: Model | None
    ) -> Cost:
        return bill_of(
            self._catalog,
            usage,
            provider=group.provider,
            response_model=response_model if target is None else target.id,
            request_model=group.model if target is None else None,
            service_tier=service_tier,
            on=self._on,
        )

    def _row_by_row(self, part: Slice, group: Group, target: Model | None) -> Bill:
        picousd = output = moved = 0
        entries: set[str] = set()
        flags: set[str] = set()
        for entry in self._rows(part):
            own = self._row_cost(entry, group, None)
            cost = own if target is None else self._row_cost(entry, group, target)
            moved += cost is not None
            chosen = cost or own
            picousd += entry.cost_picousd or 0 if chosen is None or chosen.picousd is None else chosen.picousd
            if cost is not None:
                output += _output(cost.lines)
                entries |= {line.price_entry for line in cost.lines}
                flags |= set(cost.flags)
        return Bill(picousd, output, moved, part.requests - moved, frozenset(entries), frozenset(flags))

    def _row_cost(self, entry: LedgerEntry, group: Group, target: Model | None) -> Cost | None:
        usage = usage_of(entry)
        if usage is None:
            return None
        output = usage.output_tokens + usage.output_audio_tokens
        if target is not None and not fits(target.capabilities, usage.total_input_tokens + output, output):
            return None
        cost = self._cost(usage, group, entry.response_model, entry.service_tier, target)
        return None if cost.picousd is None else cost

    def row(self, entry: LedgerEntry, group: Group, target: Model) -> Priced:
        """One request of a group, as the sums count it."""
        own, other = self._row_cost(entry, group, None), self._row_cost(entry, group, target)
        current = entry.cost_picousd or 0 if own is None or own.picousd is None else own.picousd
        moved = other is not None and other.picousd is not None
        return Priced(entry, current, other.picousd if other and other.picousd is not None else current, moved)


def thresholds_of(catalog: Catalog, long_prompt: int) -> tuple[int, ...]:
    """Every input size at which a price of the catalog changes, and `long_prompt` itself, which comes first."""
    sizes = {tier.over_input_tokens for model in catalog.models for price in model.prices for tier in price.tiers}
    return tuple(sorted({long_prompt, *sizes}))


def _is_linear(cost: Cost) -> bool:
    return cost.picousd is not None and all(
        line.bucket.endswith("_tokens") and not line.rate_usd * _PICOUSD_PER_TOKEN % 1 for line in cost.lines
    )


def _output(lines: Iterable[BillLine]) -> int:
    found = sum((line.amount_usd for line in lines if line.bucket.startswith("output")), Decimal(0))
    return int(found * 10**12)


def _bill(cost: Cost, requests: int) -> Bill:
    entries = frozenset(line.price_entry for line in cost.lines)
    return Bill(cost.picousd or 0, _output(cost.lines), requests, 0, entries, frozenset(cost.flags))
