"""Prices recorded requests at another model: exactly what each would have cost, to the last pico-dollar.

A cost is linear in its buckets at one rate. So a slice of requests is priced by its sums, but only where that is
proven: the price that the rows name, applied to the sums, must give the recorded sum itself, and no rate may need
rounding. Everything else (images, searches, a speed or region of its own, requests that may not fit) is read again
once, cut into pieces whose sums do prove their cost, and priced by those at every target. Only a rate that is no
whole number of pico-dollars per unit is applied row by row, since then each row is rounded by itself.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from app.catalog.catalog import Catalog, PriceMatch
from app.catalog.schema import Model
from app.domain import PICOUSD_PER_USD, BillLine, Cost, LedgerEntry, Usage
from app.metering.cost import bill_of
from app.metering.repricing import usage_of
from app.metering.usage import usage_from_json
from app.operations.advice_pieces import (
    CONTEXT_AT,
    OUTPUT_AT,
    Edges,
    Pieces,
    Row,
    breathing,
    cut,
    edges_of,
    filled,
    read_row,
)
from app.operations.advice_rounding import Card, card_of
from app.recommendation.traffic import Bill, Group, Slice, fits

Rows = Callable[[Slice], Iterable[Row]]
Cutting = Callable[[Slice, str, Edges], Pieces]
_BREATH_EVERY = 32
_NOTHING = Bill(0, 0, 0, 0)


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
    """The engine's `Pricing`. `rows` gives the rows of a slice again; `on` is the day whose prices are in force.

    `pieces` cuts a slice, where something remembers what was cut before.
    """

    def __init__(self, catalog: Catalog, on: date, rows: Rows, pieces: Cutting | None = None) -> None:
        self._catalog = catalog
        self._on = on
        self._rows = rows
        self._cut = pieces or (lambda part, provider, edges: cut(part, provider, rows(part), edges))
        self._entries = {price.entry: PriceMatch(m, price, False) for m in catalog.models for price in m.prices}
        self._edges = edges_of(catalog)
        self._proven: dict[int, bool] = {}
        self._own: dict[int, Bill] = {}
        self._pieces: dict[int, Pieces] = {}
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
            own = self._own[id(part)] = self._at(part, group, None)
        return own

    def tier(self, part: Slice, group: Group, tier: str) -> Bill | None:
        """The slice at its own model's list price of a service tier; None where there is none, or not all have it."""
        if not self._is_proven(part, group):
            return None
        cost = self._cost(part.usage, group, part.response_model, tier, None)
        return None if cost.picousd is None or "variant_unpriced" in cost.flags else _bill(cost, part.requests)

    def _at(self, part: Slice, group: Group, target: Model | None) -> Bill:
        if target is not None and self._catalog.price_at(group.provider, target.id, self._on) is None:
            return Bill(self(part, group, None).picousd, 0, 0, part.requests)
        if target is None or fits(target.capabilities, part.most_context, part.most_output):
            cost = self._summed(part, group, target)
            if cost is not None:
                return _bill(cost, part.requests)
        return self._by_piece(part, group, target)

    def _summed(self, part: Slice, group: Group, target: Model | None) -> Cost | None:
        """The slice's cost from its sums; None where only the rows themselves can say it."""
        if not self._is_proven(part, group):
            return None
        cost = self._cost(part.usage, group, part.response_model, part.service_tier, target)
        return cost if cost.picousd is not None and _is_linear(cost) else None

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

    def _by_piece(self, part: Slice, group: Group, target: Model | None) -> Bill:
        pieces = self._pieces.get(id(part))
        if pieces is None:
            pieces = self._pieces[id(part)] = self._cut(part, group.provider, self._edges)
        bills = [Bill(pieces.unread_picousd, 0, 0, pieces.unread)]
        whole = True
        for _, piece in pieces.parts:
            own = self._cost(piece.usage, group, part.response_model, part.service_tier, None)
            other: Cost | None = own
            if target is not None:
                able = fits(target.capabilities, piece.most_context, piece.most_output)
                other = self._cost(piece.usage, group, None, part.service_tier, target) if able else None
            known = (cost for cost in (own, other) if cost is not None and cost.picousd is not None)
            whole = whole and all(_is_linear(cost) for cost in known)
            bills.append(_piece_bill(piece, own, other))
        bill = _joined(bills)
        if whole:
            return bill
        picousd, output = self._rounded(part, group, target)
        return Bill(picousd, output, bill.moved, bill.kept, bill.entries, bill.flags)

    def _rounded(self, part: Slice, group: Group, target: Model | None) -> tuple[int, int]:
        """Pico-dollars and those for output, each row rounded by itself; rates are worked out once a kind of row."""
        cards: dict[object, Card | None] = {}
        picousd = output = 0
        for text, recorded in breathing(self._rows(part)):
            usage = usage_from_json(group.provider, part.endpoint, text)
            if usage is None:
                picousd += recorded
                continue
            key, counts = read_row(usage, self._edges)
            if key not in cards:
                costs = self._row_costs(filled(usage, key, counts), group, part, target, counts)
                cards[key] = card_of(*costs)
            card = cards[key]
            if card is not None:
                spent, spoken = card.price(counts, recorded)
            else:
                bill = _row_bill(recorded, *self._row_costs(usage, group, part, target, counts))
                spent, spoken = bill.picousd, bill.output_picousd
            picousd += spent
            output += spoken
        return picousd, output

    def _row_costs(
        self, usage: Usage, group: Group, part: Slice, target: Model | None, counts: tuple[int, ...]
    ) -> tuple[Cost | None, Cost | None]:
        own = self._cost(usage, group, part.response_model, part.service_tier, None)
        other: Cost | None = own
        if target is not None:
            able = fits(target.capabilities, counts[CONTEXT_AT], counts[OUTPUT_AT])
            other = self._cost(usage, group, None, part.service_tier, target) if able else None
        return _known(own), _known(other)

    def _row_cost(
        self, usage: Usage | None, group: Group, response_model: str | None, tier: str | None, target: Model | None
    ) -> Cost | None:
        if usage is None:
            return None
        output = usage.output_tokens + usage.output_audio_tokens
        if target is not None and not fits(target.capabilities, usage.total_input_tokens + output, output):
            return None
        cost = self._cost(usage, group, response_model, tier, target)
        return None if cost.picousd is None else cost

    def row(self, entry: LedgerEntry, group: Group, target: Model) -> Priced:
        """One request of a group, as the sums count it."""
        usage, names = usage_of(entry), (entry.response_model, entry.service_tier)
        own, other = (self._row_cost(usage, group, *names, model) for model in (None, target))
        current = entry.cost_picousd or 0 if own is None or own.picousd is None else own.picousd
        moved = other is not None and other.picousd is not None
        return Priced(entry, current, other.picousd if other and other.picousd is not None else current, moved)


def thresholds_of(catalog: Catalog, *sizes: int) -> tuple[int, ...]:
    """Every input size at which a price of the catalog changes, and `sizes` themselves, sorted."""
    return tuple(sorted({*sizes, *edges_of(catalog).inputs}))


def _is_linear(cost: Cost) -> bool:
    return cost.picousd is not None and all(not line.rate_usd * PICOUSD_PER_USD % line.per for line in cost.lines)


def _known(cost: Cost | None) -> Cost | None:
    return None if cost is None or cost.picousd is None else cost


def _output(lines: Iterable[BillLine]) -> int:
    found = sum((line.amount_usd for line in lines if line.bucket.startswith("output")), Decimal(0))
    return int(found * PICOUSD_PER_USD)


def _bill(cost: Cost, requests: int) -> Bill:
    entries = frozenset(line.price_entry for line in cost.lines)
    return Bill(cost.picousd or 0, _output(cost.lines), requests, 0, entries, frozenset(cost.flags))


def _piece_bill(piece: Slice, own: Cost | None, other: Cost | None) -> Bill:
    if other is not None and other.picousd is not None:
        return _bill(other, piece.requests)
    stays = piece.recorded_picousd if own is None or own.picousd is None else own.picousd
    return Bill(stays, 0, 0, piece.requests)


def _row_bill(recorded: int, own: Cost | None, other: Cost | None) -> Bill:
    if other is not None and other.picousd is not None:
        return _bill(other, 1)
    return Bill(recorded if own is None or own.picousd is None else own.picousd, 0, 0, 1)


def _joined(bills: Iterable[Bill]) -> Bill:
    total = _NOTHING
    for bill in bills:
        total = Bill(
            total.picousd + bill.picousd,
            total.output_picousd + bill.output_picousd,
            total.moved + bill.moved,
            total.kept + bill.kept,
            total.entries | bill.entries,
            total.flags | bill.flags,
        )
    return total
