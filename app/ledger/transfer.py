"""Moves a whole ledger into another, empty database, between SQLite and PostgreSQL either way, and proves it equal.

One transaction writes everything: a copy that is cut off, or that does not prove equal, leaves nothing behind. Rows
that are recorded while it runs stand in the spool, and come from there when Lectr starts on the new database.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from app.errors import LedgerError
from app.ledger.advice_tables import METADATA
from app.ledger.database import Database
from app.ledger.dialects import RowInsert, count_on
from app.ledger.facet_sums import LOW_BITS
from app.ledger.refusals import reason_of
from app.ledger.tables import TOKEN_COLUMNS, calendars, changes, requests, schema_info
from app.ledger.verify import verify_rollup

ROWS_AT_ONCE = 1000
BATCHES_AHEAD = 4
ASK_AGAIN_S = 0.2
_BEGUN_WITH = (schema_info, calendars, changes)
"""Tables that are not even empty in a new ledger; the source's rows take the place of theirs."""

Sums = dict[str, int]
Told = Callable[[str, int], None]


class Copied(msgspec.Struct, frozen=True):
    """What a copy has proven: rows by table, and the sums over all requests that both sides give."""

    rows: dict[str, int]
    cost_picousd: int
    tokens: dict[str, int]


class _Pipe:
    """Batches of rows on their way from the source's thread to the target's."""

    def __init__(self) -> None:
        self._batches: queue.Queue[tuple[str, Any]] = queue.Queue(BATCHES_AHEAD)
        self._ended = threading.Event()

    def put(self, kind: str, value: Any) -> None:
        """Raises LedgerError when nobody takes anything any more."""
        while not self._ended.is_set():
            try:
                return self._batches.put((kind, value), timeout=ASK_AGAIN_S)
            except queue.Full:
                continue
        raise LedgerError("the copy was broken off")

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        while True:
            try:
                yield self._batches.get(timeout=ASK_AGAIN_S)
            except queue.Empty:
                if self._ended.is_set():
                    raise LedgerError("the copy was broken off") from None

    def end(self) -> None:
        self._ended.set()


async def copy_ledger(source: Database, target: Database, told: Told = lambda _table, _rows: None) -> Copied:
    """Copy every table; `told` hears table and number of rows. Raises LedgerError, and then nothing was copied."""
    if source.shown == target.shown:
        raise LedgerError(f"{source.shown} cannot be copied into itself")
    pipe = _Pipe()
    reading = asyncio.ensure_future(source.read_at_length(lambda connection: _send(connection, pipe)))
    reading.add_done_callback(lambda _: pipe.end())
    try:
        copied = await target.write_once(lambda connection: _take(connection, pipe, target.shown, told))
    except exc.SQLAlchemyError as error:
        raise LedgerError(f"{target.shown} did not take the copy: {reason_of(error)}") from error
    except LedgerError:
        # Where the source failed, its own words say more than that the copy was broken off.
        if reading.done() and not reading.cancelled() and reading.exception() is not None:
            await reading
        raise
    finally:
        pipe.end()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()
    wrong = await verify_rollup(target)
    if wrong:
        raise LedgerError(f"{target.shown} has all rows, and as the source sums that differ from them: {wrong[0]}")
    return copied


def _send(connection: sa.Connection, pipe: _Pipe) -> None:
    for table in METADATA.sorted_tables:
        query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=ROWS_AT_ONCE)
        for some in connection.execute(query).partitions():
            pipe.put(table.name, [tuple(row) for row in some])
        pipe.put("sums", (table.name, sums_of(connection, table)))
    pipe.put("end", None)


def _take(connection: sa.Connection, pipe: _Pipe, shown: str, told: Told) -> Copied:
    _refuse_unless_empty(connection, shown)
    for table in _BEGUN_WITH:
        connection.execute(table.delete())
    inserts: dict[str, RowInsert] = {}
    counted: dict[str, Sums] = {}
    rows: dict[str, int] = {}
    for kind, value in pipe:
        if kind == "end":
            return Copied(
                rows=rows,
                cost_picousd=counted[requests.name]["cost_picousd"],
                tokens={name: counted[requests.name][name] for name in TOKEN_COLUMNS},
            )
        if kind == "sums":
            name, expected = value
            counted[name] = sums_of(connection, METADATA.tables[name])
            rows[name] = counted[name]["rows"]
            _compare(name, expected, counted[name])
            if "id" in METADATA.tables[name].c and METADATA.tables[name].c.id.autoincrement is True:
                count_on(connection, METADATA.tables[name])
            told(name, rows[name])
            continue
        if kind not in inserts:
            table = METADATA.tables[kind]
            inserts[kind] = RowInsert(table.insert(), connection.dialect, tuple(table.c.keys()))
        inserts[kind].run(connection, value)
    raise AssertionError("the pipe ends with its end")


def _refuse_unless_empty(connection: sa.Connection, shown: str) -> None:
    for table in METADATA.sorted_tables:
        one = sa.select(sa.literal(1)).select_from(table).limit(1)
        if table not in _BEGUN_WITH and connection.execute(one).first():
            raise LedgerError(
                f"{shown} is no empty ledger: its table {table.name} has rows. A copy goes into a new database or file"
            )


def sums_of(connection: sa.Connection, table: sa.Table) -> Sums:
    """`rows`, and per column: the sum of a number, the length of all texts together. Equal for equal tables."""
    wanted: list[Any] = [sa.func.count()]
    names = []
    for column in table.c:
        names.append(column.name)
        if isinstance(column.type, sa.Integer):
            # Two halves, since the sum of a few large ones does not fit 64 bits.
            halves = (column // sa.literal(2**LOW_BITS), column % sa.literal(2**LOW_BITS))
        else:
            halves = (sa.func.length(column), sa.literal(0))
        wanted += [sa.func.coalesce(sa.func.sum(half), 0) for half in halves]
    count, *numbers = map(int, connection.execute(sa.select(*wanted).select_from(table)).one())
    highs, lows = numbers[::2], numbers[1::2]
    found = {"rows": count}
    for column, high, low in zip(table.c, highs, lows, strict=True):
        found[column.name] = (high << LOW_BITS) + low if isinstance(column.type, sa.Integer) else high
    return found


def _compare(name: str, expected: Sums, counted: Sums) -> None:
    for what, number in expected.items():
        if counted[what] != number:
            raise LedgerError(
                f"the copy of {name} is not what it was: {what} gives {counted[what]} instead of {number}; "
                "nothing was copied"
            )
