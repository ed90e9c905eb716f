"""Gives rows a new price: which rows, and the change of row, daily sums and log in one transaction."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec
import sqlalchemy as sa

from app.domain import CostReason, LedgerEntry
from app.ledger.clock import id_bytes, id_moment_us, now_us
from app.ledger.database import Database
from app.ledger.dimensions import Dimensions
from app.ledger.filters import RequestFilter
from app.ledger.request_lists import fetch_entries, stream_requests
from app.ledger.rollup import Counted, add_to_rollup, aggregate, read_calendars
from app.ledger.rows import detail_key, group_key
from app.ledger.tables import TOKEN_COLUMNS, reprice_log, requests, rollup, rollup_carry

APPLIED_AT_ONCE = 500


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """The new price of one row; `flags` are all flags the row shall have, None leaves them as they are."""

    id: str
    cost_picousd: int | None
    cost_reason: CostReason | None = None
    price_entry: str | None = None
    flags: tuple[str, ...] | None = None


async def rows_to_reprice(
    database: Database, *, everything: bool = False, since_us: int | None = None, provider: str | None = None
) -> AsyncIterator[list[LedgerEntry]]:
    """Billable rows that have no cost, or with `everything` all billable ones, newest first, in lists."""
    f = RequestFilter(since_us=since_us, priced=None if everything else False, provider=provider)
    async for entries in stream_requests(database, f):
        yield [entry for entry in entries if entry.billable]


async def apply_reprice(database: Database, changes: Sequence[Repriced]) -> int:
    """Write new prices, with the old and the new one in `reprice_log`; returns how many rows changed.

    Rows that are gone, not billable or as they should be already are left alone. Raises LedgerError.
    """
    changed = 0
    for start in range(0, len(changes), APPLIED_AT_ONCE):
        some = changes[start : start + APPLIED_AT_ONCE]
        changed += await database.write(partial(_apply, changes=some))
    return changed


def _renewed(entry: LedgerEntry, change: Repriced) -> LedgerEntry:
    return msgspec.structs.replace(
        entry,
        cost_picousd=change.cost_picousd,
        cost_reason=change.cost_reason if change.cost_picousd is None else None,
        price_entry=change.price_entry,
        flags=entry.flags if change.flags is None else change.flags,
    )


def _apply(connection: sa.Connection, changes: Sequence[Repriced]) -> int:
    wanted = {change.id: change for change in changes}
    old = fetch_entries(connection, [id_bytes(text) for text in wanted])
    pairs = [(entry, _renewed(entry, wanted[entry.id])) for entry in old if entry.billable]
    pairs = [(entry, new) for entry, new in pairs if entry != new]
    if not pairs:
        return 0
    dimensions = Dimensions()
    every = [entry for pair in pairs for entry in pair]
    group_ids, stored = dimensions.groups.resolve(connection, (group_key(entry) for entry in every))
    detail_ids, _ = dimensions.details.resolve(connection, (detail_key(entry) for entry in every))
    update = requests.update().where(requests.c.id == sa.bindparam("row"))
    update = update.values({name: sa.bindparam(f"new_{name}") for name in ("group_id", "detail_id", "cost_picousd")})
    rows = [
        {
            "row": id_bytes(new.id),
            "new_group_id": group_ids[group_key(new)],
            "new_detail_id": detail_ids[detail_key(new)],
            "new_cost_picousd": new.cost_picousd,
        }
        for _, new in pairs
    ]
    connection.execute(update, rows)
    counted = [
        counted_entry(entry, group_ids[group_key(entry)], sign)
        for pair in pairs
        for entry, sign in zip(pair, (-1, 1), strict=True)
    ]
    sums = aggregate(counted, read_calendars(connection))
    add_to_rollup(connection, sums, stored)
    drop_empty_groups(connection, {day for _, day, _ in sums})
    connection.execute(reprice_log.insert(), [_log_row(entry, new) for entry, new in pairs])
    return len(pairs)


def counted_entry(entry: LedgerEntry, group_id: int, sign: int) -> Counted:
    """What this row adds to the sums of its group, or takes out of them."""
    moment = id_moment_us(id_bytes(entry.id))
    tokens = [getattr(entry, name) for name in TOKEN_COLUMNS]
    return Counted(group_id, moment, entry.cost_picousd, entry.duration_ms, tokens, sign)


def drop_empty_groups(connection: sa.Connection, days: set[int]) -> None:
    """Groups of a day that no row is left in: the rows moved on to a group with another price state."""
    empty = sa.and_(rollup.c.requests == 0, rollup.c.day.in_(sorted(days)))
    gone = connection.execute(sa.select(rollup.c.calendar, rollup.c.day, rollup.c.group_id).where(empty)).all()
    for table in (rollup, rollup_carry):
        for calendar, day, group_id in gone:
            same = sa.and_(table.c.calendar == calendar, table.c.day == day, table.c.group_id == group_id)
            connection.execute(table.delete().where(same))


def _log_row(old: LedgerEntry, new: LedgerEntry) -> dict[str, object]:
    row: dict[str, object] = {"request_id": id_bytes(old.id), "repriced_at_us": now_us()}
    for name in ("cost_picousd", "cost_reason", "price_entry"):
        row[f"old_{name}"] = getattr(old, name)
        row[f"new_{name}"] = getattr(new, name)
    return row
