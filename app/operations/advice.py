"""Advice on the team's own traffic: joins ledger, metering and the engine, off the event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Model
from app.errors import NotFoundError
from app.ledger.database import Database
from app.operations.advice_groups import EPOCH, read_traffic
from app.operations.advice_reading import PieceMemo, RowsMovedError, Window, read_window
from app.operations.advice_report import AdviceReport, make_report
from app.recommendation.advice import Verdict, group_id, what_if
from app.recommendation.traffic import Group

log = logging.getLogger("lectr")
DEFAULT_DAYS = 30
KEPT_US = 60_000_000
"""For how long a report is given again: not every click has to sum the day up anew."""
STALE_US = 600_000_000
"""Up to this age it is given once more, at once, while a new one is being made."""
WARM_AFTER_S = 1.0
"""The first report is made without being asked for, this long after the start."""
WARM_EVERY_S = 60.0
IDLE_EVERY_S = 600.0
"""How often it is made anew when somebody has looked in the last quarter of an hour, and when nobody has."""
LOOKED_AT_US = 900_000_000
_KEPT_WINDOWS = 4


class AdviceEngine:
    """Makes reports, and gives one again for a minute. One is made at a time; whoever comes meanwhile shares it."""

    def __init__(self, database: Database, catalog: CatalogHolder, clock: Callable[[], int]) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._kept: dict[date, tuple[Catalog, AdviceReport]] = {}
        self._making: dict[date, asyncio.Task[AdviceReport]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._memo = PieceMemo()
        self._warmer: asyncio.Task[None] | None = None
        self._asked_at_us = 0
        self.after: Callable[[AdviceReport], Awaitable[None]] | None = None
        """Called with each new report of the default window, before it is given to anybody."""

    def start(self) -> None:
        """From now on a report is kept ready. Nothing waits for it."""
        if self._warmer is None:
            self._warmer = asyncio.create_task(self._keep_warm())

    async def close(self) -> None:
        """Make no more reports. One that is being made is given up: nobody would see it, and the end waits for none."""
        if self._warmer is not None:
            self._warmer.cancel()
            with suppress(asyncio.CancelledError):
                await self._warmer
        for task in tuple(self._making.values()):
            task.cancel()
            await asyncio.wait([task])

    def today(self) -> date:
        """Today in UTC: the day whose prices and lifecycles are in force."""
        return datetime.fromtimestamp(self._clock() / 1e6, UTC).date()

    def window(self, since: date | None = None) -> tuple[date, date]:
        """First and last day that advice is about."""
        last = self.today()
        return max(EPOCH, min(since or last - timedelta(days=DEFAULT_DAYS - 1), last)), last

    async def report(self, since: date | None = None) -> AdviceReport:
        """Advice on the days from `since` (30 days without) up to today. Raises LedgerError."""
        first, last = self.window(since)
        ready = self._at_hand(first, last)
        return await asyncio.shield(self._make(first, last)) if ready is None else ready

    async def report_within(self, seconds: float) -> AdviceReport | None:
        """Advice on the last 30 days ready by then, else older advice, else None. Raises LedgerError."""
        first, last = self.window()
        ready = self._at_hand(first, last)
        if ready is not None:
            return ready
        task = self._make(first, last)
        done, _ = await asyncio.wait([task], timeout=seconds)
        if done:
            return task.result()
        return self._kept[first][1] if first in self._kept else None

    def _at_hand(self, first: date, last: date) -> AdviceReport | None:
        """A report that may be given at once; one past its minute is made anew meanwhile."""
        self._asked_at_us = self._clock()
        age = self._age_us(first, last)
        if age >= STALE_US:
            return None
        if age >= KEPT_US:
            self._make(first, last)
        return self._kept[first][1]

    def _age_us(self, first: date, last: date) -> int:
        catalog, report = self._kept.get(first, (None, None))
        if report is None or catalog is not self._catalog.current or report.last != last:
            return STALE_US
        return abs(self._clock() - report.as_of_us)

    def _make(self, first: date, last: date) -> "asyncio.Task[AdviceReport]":
        task = self._making.get(first)
        if task is None:
            task = self._making[first] = asyncio.create_task(self._made(first, last))
            task.add_done_callback(partial(self._forget, first))
        return task

    def _forget(self, first: date, task: "asyncio.Task[AdviceReport]") -> None:
        self._making.pop(first, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Whoever waits for it, or asks once the old report is too old, is told.
            log.warning("advice: %s", error)

    async def _made(self, first: date, last: date) -> AdviceReport:
        async with self._one_at_a_time:
            catalog, as_of_us = self._catalog.current, self._clock()
            work = partial(make_report, first=first, as_of_us=as_of_us)
            report = await read_window(self._database, catalog, first, last, work, self._memo)
        if self.after is not None and first == self.window()[0]:
            await self.after(report)
        others = [item for item in self._kept.items() if item[0] != first][1 - _KEPT_WINDOWS :]
        self._kept = {**dict(others), first: (catalog, report)}
        return report

    async def _keep_warm(self) -> None:
        await asyncio.sleep(WARM_AFTER_S)
        while True:
            first, last = self.window()
            if self._age_us(first, last) >= KEPT_US:
                # Errors are told where they are forgotten, and to whoever asks.
                await asyncio.wait([self._make(first, last)])
            looked_at = self._clock() - self._asked_at_us < LOOKED_AT_US
            await asyncio.sleep(WARM_EVERY_S if looked_at else IDLE_EVERY_S)

    def model_for(self, group: Group, target: str) -> Model:
        """A model of the group's provider. Raises NotFoundError."""
        found = self._catalog.current.find(target, group.source.provider)
        if found is None or found.provider != group.source.provider:
            raise NotFoundError(f"{group.source.provider} has no model {target[:60]!r}; advice never crosses providers")
        return found

    async def what_if(self, id: str, target: str, since: date | None = None) -> Verdict:
        """Any target of the same provider on a group, named by its own id or that of its recommendation.

        Raises NotFoundError for a group or a model that is not there, LedgerError.
        """
        found = (await self.report(since)).find(id)
        group = found.group
        catalog, model = self._catalog.current, self.model_for(group, target)
        first, last = self.window(since)

        def work(window: Window) -> Verdict:
            try:
                return what_if(catalog, group, model, window.pricer(), last)
            except RowsMovedError:
                # The report is older than these rows: the group as it is in this very window.
                traffic = read_traffic(window.reader, catalog, window.thresholds, window.long_prompt, last)
                newer = next(own for own in traffic.groups if group_id(own) == found.group_id)
                return what_if(catalog, newer, model, window.pricer(), last)

        async with self._one_at_a_time:
            return await read_window(self._database, catalog, first, last, work, self._memo)


__all__ = ["AdviceEngine", "AdviceReport"]
