"""What the advice reads of the ledger: slices of requests that are priced alike, counts per group, and single rows."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from app.domain import UsageSource
from app.ledger.advice_cells import INPUT_COLUMNS, size_of
from app.ledger.advice_tables import LARGEST_COLUMNS, advice_cells
from app.ledger.clock import DAY_US, id_floor
from app.ledger.database import Database
from app.ledger.facet_sums import LOW_BITS
from app.ledger.rows import unpack_usage
from app.ledger.tables import FREE, PRICED, TOKEN_COLUMNS, UNPRICED, details, groups, requests

T = TypeVar("T")
GROUP_TEXTS = ("provider", "model", "feature", "task", "endpoint")
DETAIL_TEXTS = ("response_model", "service_tier", "price_entry")
ROWS_AT_ONCE = 500
TEXT_ENDPOINTS = ("chat.completions", "responses", "messages", "completions")
"""Endpoints whose requests another model could have served."""
_C, _G, _D = advice_cells.c, groups.c, details.c
_USABLE = sa.and_(_G.priced == PRICED, _G.estimated == 0, _D.usage_source == UsageSource.PROVIDER)
_FROM = advice_cells.join(groups, _G.id == _C.group_id).join(details, _D.id == _C.detail_id)
_KEY = (
    *(_G.provider, _G.model, _G.feature, _G.task, _G.endpoint, _G.streamed),
    *(_D.response_model, _D.service_tier, _D.price_entry, _D.used, _C.size),
)


class AdviceSlice(msgspec.Struct, frozen=True):
    """Sums over priced requests with provider usage; `tokens` by name of the token column, `size` the size class."""

    provider: str
    model: str
    feature: str | None
    task: str | None
    endpoint: str
    streamed: bool
    response_model: str | None
    service_tier: str | None
    price_entry: str | None
    used: str
    size: int
    requests: int
    cost_picousd: int
    tokens: dict[str, int]
    most_input: int
    most_output: int
    most_context: int

    @property
    def family(self) -> tuple[Any, ...]:
        """What its rows have in common with those of other sizes."""
        texts = (self.provider, self.model, self.feature, self.task, self.endpoint, self.streamed)
        return (*texts, self.response_model, self.service_tier, self.price_entry, self.used)


class AdviceCounts(msgspec.Struct, frozen=True):
    """All requests of one (provider, model, feature, task): also those that have no price or failed."""

    requests: int
    billable: int
    usable: int
    failed: int
    estimated: int = 0
    unpriced: int = 0


Place = tuple[str, str, str | None, str | None]


class AdviceReader:
    """Reads on one snapshot, in a thread. `first` and `last` are day numbers, both included."""

    def __init__(self, connection: sa.Connection, first: int, last: int, thresholds: Sequence[int]) -> None:
        self._connection = connection
        self._window = (_C.day >= first, _C.day <= last)
        self._thresholds = tuple(thresholds)

    def slices(self) -> list[AdviceSlice]:
        """Every slice of the window."""
        sums = (_C.requests, _C.cost_high, _C.cost_low, *(_C[name] for name in TOKEN_COLUMNS))
        query = (
            sa.select(*_KEY, *(sa.func.sum(column) for column in sums), *(sa.func.max(_C[n]) for n in LARGEST_COLUMNS))
            .select_from(_FROM)
            .where(*self._window, _USABLE, _G.endpoint.in_(TEXT_ENDPOINTS), _G.model.is_not(None))
            .group_by(*_KEY)
        )
        return [_slice(tuple(row)) for row in self._connection.execute(query)]

    def counts(self) -> dict[Place, AdviceCounts]:
        """Per (provider, model, feature, task): how many requests for text there were, and of what kinds."""
        key = (_G.provider, _G.model, _G.feature, _G.task)
        cases = (_G.priced != FREE, _USABLE, _G.failed == 1, _G.estimated == 1, _G.priced == UNPRICED)
        counted = [sa.func.sum(sa.case((case, _C.requests), else_=0)) for case in cases]
        query = sa.select(*key, sa.func.sum(_C.requests), *counted).select_from(_FROM)
        query = query.where(*self._window, _G.endpoint.in_(TEXT_ENDPOINTS), _G.model.is_not(None)).group_by(*key)
        found: dict[Place, AdviceCounts] = {}
        for row in self._connection.execute(query):
            values: tuple[Any, ...] = tuple(row)
            found[values[0], values[1], values[2], values[3]] = AdviceCounts(*map(int, values[4:]))
        return found

    def spend_by_day(self) -> dict[tuple[Place, int], dict[int, int]]:
        """Per (place, size class): the recorded cost of each day (number) that has usable requests."""
        key = (_G.provider, _G.model, _G.feature, _G.task, _C.size, _C.day)
        query = (
            sa.select(*key, sa.func.sum(_C.cost_high), sa.func.sum(_C.cost_low))
            .select_from(_FROM)
            .where(*self._window, _USABLE, _G.endpoint.in_(TEXT_ENDPOINTS), _G.model.is_not(None))
            .group_by(*key)
        )
        found: dict[tuple[Place, int], dict[int, int]] = {}
        for provider, model, feature, task, size, day, high, low in self._connection.execute(query):
            spend = found.setdefault(((provider, model, feature, task), size), {})
            spend[day] = (int(high) << LOW_BITS) + int(low)
        return found

    def usages(self, part: AdviceSlice, days: Sequence[int]) -> Iterator[tuple[int, int, str | None, int]]:
        """The rows of a slice's family on these days: day, size class, usage as JSON text, cost in pico-dollars.

        All sizes at once, because to find those of one the database has to look at all of them.
        """
        first, last = min(days), max(days)
        own = (*(_same(_G[name], getattr(part, name)) for name in GROUP_TEXTS), _G.streamed == int(part.streamed))
        # Ids first: a join would look up both of them for every row of the days.
        query = sa.select(_G.id).where(*own, _G.priced == PRICED, _G.estimated == 0)
        group_ids = list(self._connection.execute(query).scalars())
        told = (*(_same(_D[name], getattr(part, name)) for name in DETAIL_TEXTS), _D.used == part.used)
        query = sa.select(_D.id).where(*told, _D.usage_source == UsageSource.PROVIDER)
        detail_ids = list(self._connection.execute(query).scalars())
        c, floors = requests.c, [id_floor(day * DAY_US) for day in range(first, last + 2)]
        rows = sa.select(c.id, c.usage, c.cost_picousd, *(c[name] for name in INPUT_COLUMNS)).where(
            c.id >= floors[0], c.id < floors[-1], c.group_id.in_(group_ids), c.detail_id.in_(detail_ids)
        )
        wanted = frozenset(days)
        for row in self._connection.execute(rows).yield_per(ROWS_AT_ONCE):
            raw, packed, cost, *counts = tuple(row)
            day = first + bisect_right(floors, bytes(raw)) - 1
            if day in wanted:
                yield day, size_of(self._thresholds, counts), unpack_usage(packed), int(cost)


def _same(column: Any, value: str | None) -> Any:
    return column.is_(None) if value is None else column == value


def _slice(row: tuple[Any, ...]) -> AdviceSlice:
    provider, model, feature, task, endpoint, streamed, response_model, tier, price_entry, used, size = row[:11]
    count, high, low, *rest = map(int, row[11:])
    tokens, largest = rest[: len(TOKEN_COLUMNS)], rest[len(TOKEN_COLUMNS) :]
    return AdviceSlice(
        provider=provider,
        model=model,
        feature=feature,
        task=task,
        endpoint=endpoint,
        streamed=bool(streamed),
        response_model=response_model,
        service_tier=tier,
        price_entry=price_entry,
        used=used,
        size=size,
        requests=count,
        cost_picousd=(high << LOW_BITS) + low,
        tokens=dict(zip(TOKEN_COLUMNS, tokens, strict=True)),
        most_input=largest[0],
        most_output=largest[1],
        most_context=largest[2],
    )


async def read_advice(
    database: Database, first: int, last: int, thresholds: Sequence[int], work: Callable[[AdviceReader], T]
) -> T:
    """Run `work` in a thread of its own, with a reader on one snapshot. Raises LedgerError."""
    return await database.read_at_length(lambda connection: work(AdviceReader(connection, first, last, thresholds)))
