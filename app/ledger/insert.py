"""Writes a batch of entries: rows, dimensions and daily sums in one transaction, each id once."""

from collections import ChainMap
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice

import sqlalchemy as sa

from app.domain import LedgerEntry, Outcome
from app.errors import LedgerError
from app.ledger.clock import id_bytes
from app.ledger.database import Database
from app.ledger.dialects import RowInsert, insert_ignoring
from app.ledger.dimensions import Dimensions, Resolved
from app.ledger.reprice import counted_entry, drop_empty_groups
from app.ledger.request_lists import fetch_entries
from app.ledger.rollup import Counted, add_to_rollup, aggregate, read_calendars
from app.ledger.rows import GROUP_COLUMNS, ROW_COLUMNS, PackedEntry, group_key, pack
from app.ledger.tables import TOKEN_COLUMNS, groups, requests

INSERTED_AT_ONCE = 2000
_DURATION_AT = 3
_TOKENS = slice(5, 5 + len(TOKEN_COLUMNS))
_COST_AT = 5 + len(TOKEN_COLUMNS)
_OUTCOME_AT = GROUP_COLUMNS.index("outcome")


class KnownRows(Exception):
    """Some ids of the batch are in the ledger already: begin again and look first."""


class Inserted:
    """What a committed batch has added: how many rows, and the dimension ids to remember."""

    def __init__(self, rows: int, groups: Resolved, details: Resolved) -> None:
        self.rows = rows
        self.groups = groups
        self.details = details


@lru_cache(maxsize=4)
def _statement(dialect: sa.Dialect) -> RowInsert:
    return RowInsert(insert_ignoring(dialect, requests, "id"), dialect, ROW_COLUMNS)


def _existing(connection: sa.Connection, ids: list[bytes]) -> dict[bytes, bool]:
    """The ids that have a row, and whether that is one of a request found interrupted."""
    found: dict[bytes, bool] = {}
    joined = requests.join(groups, groups.c.id == requests.c.group_id)
    for start in range(0, len(ids), 500):
        query = sa.select(requests.c.id, groups.c.outcome).select_from(joined)
        rows = connection.execute(query.where(requests.c.id.in_(ids[start : start + 500])))
        found |= {bytes(raw): outcome == Outcome.INTERRUPTED for raw, outcome in rows}
    return found


def _take_out(connection: sa.Connection, dimensions: Dimensions, ids: list[bytes]) -> None:
    """Remove rows and what they added to the sums."""
    old = fetch_entries(connection, ids)
    found = dimensions.groups.resolve(connection, (group_key(entry) for entry in old))
    group_ids = ChainMap(found.ids, dimensions.groups.ids)
    counted = [counted_entry(entry, group_ids[group_key(entry)], -1) for entry in old]
    sums = aggregate(counted, read_calendars(connection))
    add_to_rollup(connection, sums, ChainMap(found.stored, dimensions.groups.stored))
    drop_empty_groups(connection, {day for _, day, _ in sums})
    connection.execute(requests.delete().where(requests.c.id.in_(ids)))


def insert_batch(
    connection: sa.Connection, dimensions: Dimensions, batch: Sequence[PackedEntry], *, look_first: bool = True
) -> Inserted:
    """Insert the entries whose ids are new, and add exactly those to the daily sums.

    A row of a request that was found interrupted gives way to what the request really became.
    Without `look_first` all are taken to be new; raises KnownRows, before any sum is changed, if one is not.
    """
    unique = {packed.id: packed for packed in batch}
    if look_first:
        surpassed = []
        for known, interrupted in _existing(connection, list(unique)).items():
            if interrupted and unique[known].group[_OUTCOME_AT] != Outcome.INTERRUPTED:
                surpassed.append(known)
            else:
                del unique[known]
        if surpassed:
            _take_out(connection, dimensions, surpassed)
    fresh = list(unique.values())
    if not fresh:
        return Inserted(0, Resolved({}, {}), Resolved({}, {}))
    group_ids, new_groups = dimensions.groups.ids_of(connection, [packed.group for packed in fresh])
    detail_ids, new_details = dimensions.details.ids_of(connection, [packed.detail for packed in fresh])
    rows = []
    counted = []
    for (raw, _, _, numbers, moment_us), group_id, detail_id in zip(fresh, group_ids, detail_ids, strict=True):
        rows.append((raw, group_id, detail_id, *numbers))
        counted.append(Counted(group_id, moment_us, numbers[_COST_AT], numbers[_DURATION_AT], numbers[_TOKENS]))
    inserted = _statement(connection.dialect).run(connection, rows)
    if not look_first and inserted != len(rows):
        raise KnownRows
    stored = ChainMap(new_groups.stored, dimensions.groups.stored)
    add_to_rollup(connection, aggregate(counted, read_calendars(connection)), stored)
    return Inserted(len(fresh), new_groups, new_details)


async def known_ids(database: Database, ids: Sequence[bytes]) -> set[bytes]:
    """Those of the ids that have a row, one that stays; none while the ledger cannot be read."""
    try:
        found = await database.read(lambda connection: _existing(connection, list(ids)))
    except LedgerError:
        return set()
    return {known for known, interrupted in found.items() if not interrupted}


async def missing_from(database: Database, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """The entries that have no row that stays. To find out costs a sixth of what an insert of known rows does."""
    ids: dict[bytes, str] = {}
    for entry in entries:
        # An id that is none stays, and is parked.
        with suppress(ValueError):
            ids[id_bytes(entry.id)] = entry.id
    known = {ids[raw] for raw in await known_ids(database, list(ids))}
    return [entry for entry in entries if entry.id not in known]


async def insert_packed(database: Database, dimensions: Dimensions, batch: Sequence[PackedEntry]) -> int:
    """One batch in one transaction; returns how many rows were new. Database errors come through as they are."""

    def work(connection: sa.Connection, *, look_first: bool = False) -> Inserted:
        dimensions.follow(database.epoch)
        return insert_batch(connection, dimensions, batch, look_first=look_first)

    try:
        done = await database.write_once(work)
    except KnownRows:
        done = await database.write_once(lambda connection: work(connection, look_first=True))
    dimensions.groups.remember(done.groups)
    dimensions.details.remember(done.details)
    return done.rows


async def insert_many(database: Database, entries: "Sequence[LedgerEntry]") -> int:
    """Insert many entries at once, past the writer; returns how many were new. For the demo and for tests."""
    dimensions = Dimensions()
    waiting = iter(entries)
    inserted = 0
    while some := list(islice(waiting, INSERTED_AT_ONCE)):
        inserted += await insert_packed(database, dimensions, [pack(entry) for entry in some])
    return inserted
