"""Reprice: give rows the cost that today's registry and overrides say for their day."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time
from functools import partial

import msgspec

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.schema import Override
from app.domain import Cost, CostReason, LedgerEntry
from app.ledger.database import Database
from app.ledger.polite import apart
from app.ledger.reprice import Repriced, apply_reprice, rows_to_reprice
from app.metering.repricing import cost_again

PREVIEWED = 20_000
_KEPT_REASONS = (CostReason.ENCODED_BODY, CostReason.NO_USAGE, CostReason.READER_FAILED)


class RepriceReport(msgspec.Struct, frozen=True):
    """What a reprice did, or with `dry_run` would do; `cut` True where not all rows that count were looked at."""

    looked_at: int
    changed: int
    cost_before_picousd: int
    cost_after_picousd: int
    dry_run: bool
    cut: bool = False


class Reprice:
    """Prices rows again from the usage they keep; rows without usage stay as they are."""

    def __init__(self, database: Database, catalog: CatalogHolder) -> None:
        self._database = database
        self._catalog = catalog

    async def run(self, since: datetime | None, everything: bool, dry_run: bool) -> RepriceReport:
        """The unpriced rows, or with `everything` all billable ones, from `since` on. Raises LedgerError."""
        rows = rows_to_reprice(self._database, everything=everything, since_us=_microseconds(since))
        return await self._over(rows, partial(_changes, self._catalog.current, None), dry_run, None)

    async def by_override(self, override: Override, catalog: Catalog, dry_run: bool) -> RepriceReport:
        """All rows that `catalog` prices by this price of the team's, from its first day on, priced before or not.

        A dry run looks at the newest 20,000 requests of the provider, no more. Raises LedgerError.
        """
        since = None if override.starts is None else datetime.combine(override.starts, time.min, UTC)
        rows = rows_to_reprice(
            self._database, everything=True, since_us=_microseconds(since), provider=override.provider
        )
        work = partial(_changes, catalog, f"team:{override.id}:")
        return await self._over(rows, work, dry_run, PREVIEWED if dry_run else None)

    async def _over(
        self,
        rows: AsyncIterator[list[LedgerEntry]],
        work: Callable[[list[LedgerEntry]], list[Repriced]],
        dry_run: bool,
        at_most: int | None,
    ) -> RepriceReport:
        looked_at = changed = before = after = 0
        cut = False
        async for entries in rows:
            if at_most is not None and looked_at >= at_most:
                cut = True
                break
            looked_at += len(entries)
            # In a thread: a page of rows is some ten milliseconds, in which no program would be served.
            changes = await apart(partial(work, entries))
            old = {entry.id: entry.cost_picousd or 0 for entry in entries}
            changed += len(changes)
            before += sum(old[change.id] for change in changes)
            after += sum(change.cost_picousd or 0 for change in changes)
            if not dry_run and changes:
                await apply_reprice(self._database, changes)
        return RepriceReport(looked_at, changed, before, after, dry_run, cut)


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000)


def _changes(catalog: Catalog, price_entry: str | None, entries: list[LedgerEntry]) -> list[Repriced]:
    """The changes of these rows, only those by a price whose entry begins so where that is given."""
    found = (_change(catalog, entry) for entry in entries)
    return [
        change
        for change in found
        if change is not None and (price_entry is None or (change.price_entry or "").startswith(price_entry))
    ]


def _change(catalog: Catalog, entry: LedgerEntry) -> Repriced | None:
    if entry.cost_reason in _KEPT_REASONS:
        return None
    cost = cost_again(catalog, entry)
    if cost is None or (cost.picousd, cost.reason) == (entry.cost_picousd, entry.cost_reason):
        return None
    return Repriced(
        id=entry.id,
        cost_picousd=cost.picousd,
        cost_reason=cost.reason,
        price_entry=cost.price_entry,
        flags=_flags(entry, cost),
    )


def _flags(entry: LedgerEntry, cost: Cost) -> tuple[str, ...]:
    kept = tuple(flag for flag in entry.flags if flag != "price_by_base")
    return tuple(dict.fromkeys(kept + cost.flags))
