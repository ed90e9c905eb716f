"""Advice on the team's own traffic: joins ledger, metering and the engine, off the event loop."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TypeVar

import msgspec

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.policy import threshold
from app.domain import LedgerEntry
from app.errors import LedgerError, NotFoundError
from app.ledger.advice_cells import refresh_cells
from app.ledger.advice_reports import AdviceReader, AdviceSlice, read_advice
from app.ledger.database import Database
from app.operations.advice_groups import EPOCH, read_traffic
from app.operations.advice_pricing import Pricer, thresholds_of
from app.recommendation.advice import Advice, Headline, Verdict, advise, headline, ranking, what_if
from app.recommendation.lifecycles import Ending, calendar
from app.recommendation.traffic import Slice

log = logging.getLogger("lectr")
T = TypeVar("T")
DEFAULT_DAYS = 30
KEPT_US = 60_000_000
"""For how long a report is given again: not every click has to sum the day up anew."""
STALE_US = 600_000_000
"""Up to this age it is given once more, at once, while a new one is being made."""
_KEPT_WINDOWS = 4


class AdviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """All advice of a window of whole UTC days, `first` to `last`, both included; best first."""

    as_of_us: int
    first: date
    last: date
    advice: tuple[Advice, ...]
    headline: Headline
    calendar: tuple[Ending, ...]
    unknown_requests: int

    def only(self, feature: str | None = None, task: str | None = None, model: str | None = None) -> "AdviceReport":
        """The advice on one feature, task (`untagged` for none) or model, its headline summed anew."""
        if (feature, task, model) == (None, None, None):
            return self
        chosen = tuple(
            advice
            for advice in self.advice
            if feature in (None, advice.group.feature or "untagged")
            and task in (None, advice.group.task or "untagged")
            and model in (None, advice.group.model)
        )
        endings = tuple(calendar((advice.group for advice in chosen), self.last))
        return msgspec.structs.replace(self, advice=chosen, headline=headline(chosen), calendar=endings)

    def find(self, id: str) -> Advice:
        """The advice of this id. Raises NotFoundError."""
        for advice in self.advice:
            if advice.id == id:
                return advice
        raise NotFoundError(f"there is no recommendation {id[:60]!r} on the traffic of these days")


class AdviceEngine:
    """Makes reports, and gives one again for a minute. One is made at a time; whoever comes meanwhile shares it."""

    def __init__(self, database: Database, catalog: CatalogHolder, clock: Callable[[], int]) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._kept: dict[date, tuple[Catalog, AdviceReport]] = {}
        self._making = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    def today(self) -> date:
        """Today in UTC: the day whose prices and lifecycles are in force."""
        return datetime.fromtimestamp(self._clock() / 1e6, UTC).date()

    async def report(self, since: date | None = None) -> AdviceReport:
        """Advice on the days from `since` (30 days without) up to today. Raises LedgerError."""
        first, last = self.window(since)
        age = self._age_us(first, last)
        if age < STALE_US:
            if age >= KEPT_US and self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(first, last))
            return self._kept[first][1]
        async with self._making:
            if self._age_us(first, last) >= KEPT_US:
                await self._make(first, last)
            return self._kept[first][1]

    def window(self, since: date | None = None) -> tuple[date, date]:
        """First and last day that advice is about."""
        last = self.today()
        return max(EPOCH, min(since or last - timedelta(days=DEFAULT_DAYS - 1), last)), last

    def _age_us(self, first: date, last: date) -> int:
        catalog, report = self._kept.get(first, (None, None))
        if report is None or catalog is not self._catalog.current or report.last != last:
            return STALE_US
        return abs(self._clock() - report.as_of_us)

    async def close(self) -> None:
        """Wait for a report that is being made."""
        if self._renewing is not None:
            await self._renewing

    async def _renew(self, first: date, last: date) -> None:
        try:
            async with self._making:
                await self._make(first, last)
        except LedgerError as error:
            # Whoever asks once the old report is too old is told.
            log.warning("advice: %s", error)
        finally:
            self._renewing = None

    async def _make(self, first: date, last: date) -> None:
        catalog, as_of_us = self._catalog.current, self._clock()
        work = partial(_report, catalog, first, last, as_of_us)
        report = await read_window(self._database, catalog, first, last, work)
        others = [item for item in self._kept.items() if item[0] != first][1 - _KEPT_WINDOWS :]
        self._kept = {**dict(others), first: (catalog, report)}

    async def what_if(self, id: str, target: str, since: date | None = None) -> Verdict:
        """Any target of the same provider on the group of a recommendation.

        Raises NotFoundError for a recommendation or a model that is not there.
        """
        group = (await self.report(since)).find(id).group
        catalog = self._catalog.current
        model = catalog.find(target, group.source.provider)
        if model is None:
            raise NotFoundError(f"{group.source.provider} has no model {target[:60]!r}; advice never crosses providers")
        first, last = self.window(since)

        def work(reader: AdviceReader, _long: int, _thresholds: tuple[int, ...]) -> Verdict:
            return what_if(catalog, group, model, Pricer(catalog, last, rows_of(reader)), last)

        return await read_window(self._database, catalog, first, last, work)


async def read_window(
    database: Database,
    catalog: Catalog,
    first: date,
    last: date,
    work: Callable[[AdviceReader, int, tuple[int, ...]], T],
) -> T:
    """Run `work` (reader, the length of a long prompt, size thresholds) in a thread, on sums that are up to date."""
    long_prompt = int(threshold(catalog.policy, "long_prompt_input_tokens"))
    thresholds = thresholds_of(catalog, long_prompt)
    days = (first - EPOCH).days, (last - EPOCH).days
    await refresh_cells(database, *days, thresholds)
    return await read_advice(database, *days, thresholds, lambda reader: work(reader, long_prompt, thresholds))


def _report(
    catalog: Catalog,
    first: date,
    last: date,
    as_of_us: int,
    reader: AdviceReader,
    long_prompt: int,
    thresholds: tuple[int, ...],
) -> AdviceReport:
    traffic = read_traffic(reader, catalog, thresholds, long_prompt, last)
    price = Pricer(catalog, last, rows_of(reader))
    found = sorted((advise(catalog, group, price, last) for group in traffic.groups), key=ranking)
    return AdviceReport(
        as_of_us=as_of_us,
        first=first,
        last=last,
        advice=tuple(found),
        headline=headline(found),
        calendar=tuple(calendar(traffic.groups, last)),
        unknown_requests=traffic.unknown_requests,
    )


def rows_of(reader: AdviceReader) -> Callable[[Slice], Iterable[LedgerEntry]]:
    """How a pricer reads the rows of a slice again."""

    def rows(part: Slice) -> Iterable[LedgerEntry]:
        if not isinstance(part.place, AdviceSlice):
            raise TypeError("this slice was not read from the ledger")
        return reader.entries(part.place)

    return rows


__all__ = ["AdviceEngine", "AdviceReport", "read_window", "rows_of"]
