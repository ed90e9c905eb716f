"""What people do with advice: look at the requests behind it, accept or dismiss it, and see what an accept brought."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import msgspec

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.policy import threshold
from app.domain import LedgerEntry, UsageSource
from app.errors import ConflictError, NotFoundError
from app.ledger.advice_cells import INPUT_COLUMNS
from app.ledger.advice_decisions import ACCEPT, DISMISS, Decision, add_decision, latest_decisions
from app.ledger.advice_reports import TEXT_ENDPOINTS
from app.ledger.clock import DAY_US
from app.ledger.database import Database
from app.ledger.filters import UNTAGGED, RequestFilter
from app.ledger.request_lists import list_requests
from app.operations.advice import AdviceEngine, AdviceReport
from app.operations.advice_groups import EPOCH, source_of
from app.operations.advice_pieces import Row
from app.operations.advice_pricing import Priced, Pricer
from app.operations.advice_reading import Window, read_window
from app.recommendation.advice import Advice
from app.recommendation.realised import Realised, Volume, realised
from app.recommendation.traffic import Group

BEFORE_DAYS = 30
OPEN = "open"
_MOST_LOOKS = 10


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What was advised when it was decided; money is that of the whole window, in pico-dollars."""

    provider: str
    model: str
    source: str
    target: str
    feature: str | None
    task: str | None
    long: bool
    requests: int
    saved_picousd: int
    low_picousd: int
    high_picousd: int
    entries: tuple[str, ...] = ()
    """The price entries of the advice; empty in decisions of before they were kept."""


class Decided(msgspec.Struct, frozen=True):
    """A decision with what was decided upon, and after an accept what it has brought.

    `prices_changed` is True where the advice is made of other price entries now than when it was decided.
    """

    decision: Decision
    snapshot: Snapshot
    realised: Realised | None
    prices_changed: bool = False


class Card(msgspec.Struct, frozen=True):
    """A recommendation: the advice, None where its traffic is gone, and what was decided, None if nothing was."""

    id: str
    advice: Advice | None
    decided: Decided | None

    @property
    def state(self) -> str:
        """`open`, `accept` or `dismiss`. A dismissal is open again once the prices it was about have changed."""
        if self.decided is None or (self.decided.decision.decision == DISMISS and self.decided.prices_changed):
            return OPEN
        return self.decided.decision.decision


class Evidence(msgspec.Struct, frozen=True):
    """Some of the requests behind an advice, newest first, and where the next ones begin."""

    rows: tuple[Priced, ...]
    next: str | None


class AdviceDesk:
    """Joins reports with decisions."""

    def __init__(
        self, engine: AdviceEngine, database: Database, catalog: CatalogHolder, clock: Callable[[], int]
    ) -> None:
        self.engine = engine
        engine.after = self._look_back
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._brought: dict[tuple[str, int], Realised] = {}
        """What each accept has brought, as of the last report: pages do not sum two months up for every card."""

    async def cards(self, report: AdviceReport, *, gone: bool = True) -> list[Card]:
        """The report's advice in its order, then with `gone` accepted recommendations whose traffic has moved on."""
        decisions = await latest_decisions(self._database)
        cards = [await self._card(advice.id, advice, decisions) for advice in report.advice]
        shown = {card.id for card in cards}
        if not gone:
            return cards
        accepted = [name for name, made in decisions.items() if name not in shown and made.decision == ACCEPT]
        return cards + [await self._card(name, None, decisions) for name in accepted]

    async def card(self, id: str, since: date | None = None) -> Card:
        """One recommendation, by its id or its group's. Raises NotFoundError for one that nobody knows."""
        report, decisions = await self.engine.report(since), await latest_decisions(self._database)
        advice = next((found for found in report.advice if id in (found.id, found.group_id)), None)
        if advice is None and id not in decisions:
            raise NotFoundError(f"there is no recommendation {id[:60]!r} on the traffic of these days")
        return await self._card(id if advice is None else advice.id, advice, decisions)

    async def decide(self, id: str, decision: str, reason: str, since: date | None = None) -> Card:
        """Accept or dismiss. Raises NotFoundError, and ConflictError where nothing is advised."""
        advice = (await self.engine.report(since)).find(id)
        if advice.chosen is None or advice.chosen.saving is None:
            raise ConflictError("nothing is advised here, so there is nothing to accept or dismiss")
        group, sums = advice.group, advice.chosen.saving
        snapshot = Snapshot(
            provider=group.provider,
            model=group.model,
            source=group.source.id,
            target=advice.chosen.target.id,
            feature=group.feature,
            task=group.task,
            long=group.long,
            requests=sums.requests,
            saved_picousd=sums.saved_picousd,
            low_picousd=sums.low_picousd,
            high_picousd=sums.high_picousd,
            entries=sums.entries,
        )
        text = msgspec.json.encode(snapshot).decode()
        made = Decision(
            recommendation=advice.id, decision=decision, reason=reason, decided_at_us=self._clock(), snapshot=text
        )
        await add_decision(self._database, made)
        return await self.card(id, since)

    async def _card(self, id: str, advice: Advice | None, decisions: Mapping[str, Decision]) -> Card:
        decision = decisions.get(id)
        if decision is None:
            return Card(id, advice, None)
        snapshot = msgspec.json.decode(decision.snapshot, type=Snapshot)
        brought = None
        if decision.decision == ACCEPT:
            key = id, decision.decided_at_us
            if key not in self._brought:
                self._brought[key] = await self._realised(decision, snapshot)
            brought = self._brought[key]
        chosen = None if advice is None or advice.chosen is None else advice.chosen.saving
        changed = chosen is not None and bool(snapshot.entries) and snapshot.entries != chosen.entries
        return Card(id, advice, Decided(decision, snapshot, brought, changed))

    async def _look_back(self, _report: AdviceReport) -> None:
        """Sum up anew what every accept has brought."""
        brought = {}
        for name, made in (await latest_decisions(self._database)).items():
            if made.decision == ACCEPT:
                snapshot = msgspec.json.decode(made.snapshot, type=Snapshot)
                brought[name, made.decided_at_us] = await self._realised(made, snapshot)
        self._brought = brought

    async def _realised(self, decision: Decision, snapshot: Snapshot) -> Realised:
        """Whole days before and after the one of the accept, which itself is a mixture."""
        catalog, day = self._catalog.current, EPOCH + timedelta(days=decision.decided_at_us // DAY_US)
        today = self.engine.today()
        before = await self._volume(snapshot, day - timedelta(days=BEFORE_DAYS), day - timedelta(days=1))
        after = await self._volume(snapshot, day + timedelta(days=1), today)
        low = Decimal(snapshot.low_picousd) / max(snapshot.requests, 1)
        return realised(before, after, low, int(threshold(catalog.policy, "minimum_requests")))

    async def _volume(self, snapshot: Snapshot, first: date, last: date) -> Volume:
        if first > last:
            return Volume(0, 0, 0, 0)
        catalog = self._catalog.current
        return await read_window(self._database, catalog, first, last, partial(_volume, catalog, snapshot))

    async def evidence(
        self,
        id: str,
        since: date | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        target: str | None = None,
    ) -> Evidence:
        """The requests of a recommendation with their difference, at most `limit` of them.

        A page may hold fewer, also none, while there is a `next`: the list of requests knows feature, task and model,
        but no prompt length, and it is not searched without end. All of them sum up to the saving, or to
        that of `target`. Raises NotFoundError, and ValueError with a sentence for a cursor that cannot be used.
        """
        report = await self.engine.report(since)
        advice, catalog = report.find(id), self._catalog.current
        group = advice.group
        model = self.engine.model_for(group, target) if target else group.source
        if target is None and advice.chosen is not None:
            model = advice.chosen.target
        f = RequestFilter(
            provider=group.provider,
            model=group.model,
            feature=group.feature or UNTAGGED,
            task=group.task or UNTAGGED,
            priced=True,
            since_us=(report.first - EPOCH).days * DAY_US,
            until_us=report.as_of_us + 1000,
        )
        long_prompt = int(threshold(catalog.policy, "long_prompt_input_tokens"))
        found: list[LedgerEntry] = []
        for _ in range(_MOST_LOOKS):
            page = await list_requests(self._database, f, limit=limit - len(found), after=after)
            after = page.next
            found += [one for one in page.entries if _is_counted(catalog, group, one, long_prompt, report.last)]
            if after is None or len(found) >= limit:
                break

        def work() -> tuple[Priced, ...]:
            price = Pricer(catalog, report.last, _no_rows)
            return tuple(price.row(entry, group, model) for entry in found)

        return Evidence(await asyncio.to_thread(work), after)


def _no_rows(_part: object) -> Iterable[Row]:
    return ()


def _is_counted(catalog: Catalog, group: Group, entry: LedgerEntry, long_prompt: int, on: date) -> bool:
    """True if the sums of the group have this row in them."""
    if entry.usage_source is not UsageSource.PROVIDER or entry.endpoint not in TEXT_ENDPOINTS:
        return False
    size = sum(getattr(entry, name) or 0 for name in INPUT_COLUMNS)
    source = source_of(catalog, group.provider, group.model, entry.response_model, on)
    return (size > long_prompt) == group.long and source is not None and source.id == group.source.id


def _volume(catalog: Catalog, told: Snapshot, window: Window) -> Volume:
    """What the group sent to the model it left and to the one that was advised."""
    long_from = window.thresholds.index(window.long_prompt) + 1
    sums = {told.source: [0, 0], told.target: [0, 0]}
    for part in window.reader.slices():
        if (part.provider, part.feature, part.task) != (told.provider, told.feature, told.task):
            continue
        source = source_of(catalog, part.provider, part.model, part.response_model, window.last)
        if (part.size >= long_from) != told.long or source is None or source.id not in sums:
            continue
        sums[source.id][0] += part.requests
        sums[source.id][1] += part.cost_picousd
    return Volume(*sums[told.source], *sums[told.target])
