"""Writes a batch of entries: rows, dimensions and daily sums in one transaction, each id once."""

from collections import ChainMap
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

import sqlalchemy as sa

from app.domain import LedgerEntry
from app.ledger.database import Database
from app.ledger.dialects import insert_ignoring, positional
from app.ledger.dimensions import Dimensions, Resolved
from app.ledger.rollup import Counted, add_to_rollup, aggregate, read_calendars
from app.ledger.rows import ROW_COLUMNS, PackedEntry, pack
from app.ledger.tables import TOKEN_COLUMNS, requests

INSERTED_AT_ONCE = 2000
_DURATION_AT = 3
_TOKENS = slice(5, 5 + len(TOKEN_COLUMNS))
_COST_AT = 5 + len(TOKEN_COLUMNS)


class KnownRows(Exception):
    """Some ids of the batch are in the ledger already: begin again and look first."""


class Inserted:
    """What a committed batch has added: how many rows, and the dimension ids to remember."""

    def __init__(self, rows: int, groups: Resolved, details: Resolved) -> None:
        self.rows = rows
        self.groups = groups
        self.details = details


@lru_cache(maxsize=4)
def _statement(dialect: sa.Dialect) -> str:
    return positional(insert_ignoring(dialect, requests, "id"), dialect, ROW_COLUMNS)


def _existing(connection: sa.Connection, ids: list[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for start in range(0, len(ids), 500):
        query = sa.select(requests.c.id).where(requests.c.id.in_(ids[start : start + 500]))
        found.update(bytes(row[0]) for row in connection.execute(query))
    return found


def insert_batch(
    connection: sa.Connection, dimensions: Dimensions, batch: Sequence[PackedEntry], *, look_first: bool = True
) -> Inserted:
    """Insert the entries whose ids are new, and add exactly those to the daily sums.

    Without `look_first` all are taken to be new; raises KnownRows, before any sum is changed, if one is not.
    """
    unique = {packed.id: packed for packed in batch}
    if look_first:
        for known in _existing(connection, list(unique)):
            del unique[known]
    fresh = list(unique.values())
    if not fresh:
        return Inserted(0, Resolved({}, {}), Resolved({}, {}))
    new_groups = dimensions.groups.resolve(connection, (packed.group for packed in fresh))
    new_details = dimensions.details.resolve(connection, (packed.detail for packed in fresh))
    groups, details = dimensions.groups.ids, dimensions.details.ids
    rows = []
    counted = []
    for packed in fresh:
        group_id = groups.get(packed.group) or new_groups.ids[packed.group]
        detail_id = details.get(packed.detail) or new_details.ids[packed.detail]
        numbers = packed.numbers
        rows.append((packed.id, group_id, detail_id, *numbers))
        counted.append(Counted(group_id, packed.moment_us, numbers[_COST_AT], numbers[_DURATION_AT], numbers[_TOKENS]))
    inserted = connection.exec_driver_sql(_statement(connection.dialect), rows).rowcount
    if not look_first and inserted != len(rows):
        raise KnownRows
    stored = ChainMap(new_groups.stored, dimensions.groups.stored)
    add_to_rollup(connection, aggregate(counted, read_calendars(connection)), stored)
    return Inserted(len(fresh), new_groups, new_details)


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
