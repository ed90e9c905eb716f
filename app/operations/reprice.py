"""Reprice: give rows the cost that today's registry and overrides say for their day."""

from datetime import datetime

import msgspec

from app.catalog.catalog import Catalog, CatalogHolder
from app.domain import Cost, CostReason, LedgerEntry
from app.ledger.database import Database
from app.ledger.reprice import Repriced, apply_reprice, rows_to_reprice
from app.metering.repricing import cost_again

_KEPT_REASONS = (CostReason.ENCODED_BODY, CostReason.NO_USAGE, CostReason.READER_FAILED)


class RepriceReport(msgspec.Struct, frozen=True):
    """What a reprice did, or with `dry_run` would do."""

    looked_at: int
    changed: int
    cost_before_picousd: int
    cost_after_picousd: int
    dry_run: bool


class Reprice:
    """Prices rows again from the usage they keep; rows without usage stay as they are."""

    def __init__(self, database: Database, catalog: CatalogHolder) -> None:
        self._database = database
        self._catalog = catalog

    async def run(self, since: datetime | None, everything: bool, dry_run: bool) -> RepriceReport:
        """The unpriced rows, or with `everything` all billable ones, from `since` on. Raises LedgerError."""
        since_us = None if since is None else int(since.timestamp() * 1_000_000)
        looked_at = changed = before = after = 0
        async for entries in rows_to_reprice(self._database, everything=everything, since_us=since_us):
            looked_at += len(entries)
            changes = [change for entry in entries if (change := _change(self._catalog.current, entry)) is not None]
            old = {entry.id: entry.cost_picousd or 0 for entry in entries}
            changed += len(changes)
            before += sum(old[change.id] for change in changes)
            after += sum(change.cost_picousd or 0 for change in changes)
            if not dry_run and changes:
                await apply_reprice(self._database, changes)
        return RepriceReport(looked_at, changed, before, after, dry_run)


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
