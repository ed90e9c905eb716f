"""Reads a window of the ledger for the engine, on one snapshot, with sums that are up to date."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from functools import partial
from typing import TypeVar

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.ledger.advice_cells import refresh_cells
from app.ledger.advice_reports import AdviceReader, AdviceSlice, read_advice
from app.ledger.database import Database
from app.operations.advice_groups import EPOCH
from app.operations.advice_pieces import Cutter, Edges, Pieces, Row, breathing, merged
from app.operations.advice_pricing import Pricer, thresholds_of
from app.recommendation.traffic import Slice

T = TypeVar("T")
_ATTEMPTS = 3
_MOST_PIECES = 50_000
_NOTHING = Pieces(())


class RowsMovedError(Exception):
    """Rows came between the sums and the reading of single rows: both are read again."""


class PieceMemo:
    """Remembers what slices were cut into, day by day: only days whose requests have changed are read again."""

    def __init__(self) -> None:
        self.rows_read = 0
        self._catalog: Catalog | None = None
        self._days: dict[tuple[object, int], str] = {}
        self._kept: dict[tuple[object, int, int], Pieces] = {}

    def of(self, catalog: Catalog) -> "PieceMemo":
        """This memory, emptied where prices or limits are not those it was made with."""
        if self._catalog is not catalog or len(self._kept) > _MOST_PIECES:
            self._catalog, self._days, self._kept = catalog, {}, {}
        return self

    def cut(self, window: "Window", part: Slice, provider: str, edges: Edges) -> Pieces:
        """The pieces of a slice. Raises RowsMovedError where its rows are no longer those of its sums."""
        place = place_of(part)
        family = place.family
        fresh = tuple(day for day, stamp in window.stamps.items() if self._days.get((family, day)) != stamp)
        if fresh:
            self._read(window, part, provider, edges, fresh)
        found = merged(self._kept.get((family, place.size, day), _NOTHING) for day in window.stamps)
        same = (found.requests, found.recorded_picousd) == (part.requests, part.recorded_picousd)
        if not same and window.strict:
            for day in fresh:
                del self._days[family, day]
            raise RowsMovedError
        return found

    def _read(self, window: "Window", part: Slice, provider: str, edges: Edges, days: tuple[int, ...]) -> None:
        """Cut the rows of a slice and of its family's other sizes on these days."""
        place = place_of(part)
        cutters: dict[tuple[int, int], Cutter] = {}
        for day, size, text, cost in breathing(window.reader.usages(place, days)):
            cutter = cutters.get((size, day))
            if cutter is None:
                cutter = cutters[size, day] = Cutter(part, provider, edges)
            cutter.take(text, cost)
            self.rows_read += 1
        again = frozenset(days)
        for key in [key for key in self._kept if key[0] == place.family and key[2] in again]:
            del self._kept[key]
        for (size, day), cutter in cutters.items():
            self._kept[place.family, size, day] = cutter.pieces()
        for day in days:
            self._days[place.family, day] = window.stamps[day]


class Window:
    """The days `first` to `last` on one snapshot. `stamps` tell by day number which requests the sums are made of."""

    def __init__(
        self,
        reader: AdviceReader,
        catalog: Catalog,
        last: date,
        stamps: dict[int, str],
        memo: PieceMemo | None = None,
        *,
        strict: bool = True,
    ) -> None:
        self.reader = reader
        self.strict = strict
        self.catalog = catalog
        self.last = last
        self.stamps = stamps
        self.long_prompt = int(threshold(catalog.policy, "long_prompt_input_tokens"))
        self.thresholds = sizes_of(catalog)
        self._memo = memo or PieceMemo()

    def pricer(self) -> Pricer:
        """Prices the slices of this window."""
        memo = self._memo.of(self.catalog)
        return Pricer(self.catalog, self.last, self.rows, partial(memo.cut, self))

    def rows(self, part: Slice) -> Iterable[Row]:
        """The rows of a slice."""
        place = place_of(part)
        rows = self.reader.usages(place, tuple(self.stamps))
        return ((text, cost) for _, size, text, cost in rows if size == place.size)


def sizes_of(catalog: Catalog) -> tuple[int, ...]:
    """The input sizes that no slice lies on both sides of."""
    return thresholds_of(catalog, int(threshold(catalog.policy, "long_prompt_input_tokens")))


def place_of(part: Slice) -> AdviceSlice:
    """Where in the ledger a slice was read."""
    if not isinstance(part.place, AdviceSlice):
        raise TypeError("this slice was not read from the ledger")
    return part.place


async def read_window(
    database: Database,
    catalog: Catalog,
    first: date,
    last: date,
    work: Callable[[Window], T],
    memo: PieceMemo | None = None,
) -> T:
    """Run `work` in a thread, on sums that are up to date. Raises LedgerError.

    Where rows keep coming between sums and single rows, the last attempt takes those few more for what they are.
    """
    thresholds = sizes_of(catalog)
    days = (first - EPOCH).days, (last - EPOCH).days
    for attempt in range(_ATTEMPTS):
        stamps = await refresh_cells(database, *days, thresholds)

        strict = attempt + 1 < _ATTEMPTS

        def read(reader: AdviceReader, stamps: dict[int, str] = stamps, strict: bool = strict) -> T:
            return work(Window(reader, catalog, last, stamps, memo, strict=strict))

        with suppress(RowsMovedError):
            return await read_advice(database, *days, thresholds, read)
    raise AssertionError("the last attempt returns or raises something else")


__all__ = ["PieceMemo", "RowsMovedError", "Window", "place_of", "read_window", "sizes_of"]
