"""Reads the requests that a damaged SQLite file still gives, newest first, around what cannot be read."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from app.domain import LedgerEntry
from app.ledger.clock import DAY_US, id_floor, id_moment_us
from app.ledger.rows import ENTRY_SELECT, entry_of
from app.ledger.sqlite_files import url_of
from app.ledger.tables import details, groups, requests

ROWS_AT_ONCE = 500
FIRST_DAY = 18_262
"""2020-01-01: no request of Lectr is older."""
MAX_FAILURES = 10_000
"""Then what is left is given up: a page near the root is gone, and no search finds what it led to."""
HALVINGS = 6
"""How finely a gap is searched for readable rows in its middle: a day down to 20 minutes."""

# A row whose group or detail is not found in the damaged file must be counted, not passed over.
_SELECT = sa.select(*ENTRY_SELECT.selected_columns).select_from(
    requests.outerjoin(groups, groups.c.id == requests.c.group_id).outerjoin(
        details, details.c.id == requests.c.detail_id
    )
)

Span = tuple[int, int, int]
"""First id, the end, and how often it may be halved yet."""


class DamagedRows:
    """The rows of one file. `gaps` counts spans of time that could not be read, and rows that make no sense."""

    def __init__(self, path: Path) -> None:
        self.gaps = 0
        self._failures = 0
        # Closing a connection that another thread reads from is a crash, not an error.
        self._turn = threading.Lock()
        self._closed = False
        self._engine = sa.create_engine(
            url_of(path),
            poolclass=sa.StaticPool,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": 5},
        )

    def close(self) -> None:
        """Let the file go; a chunk that is being read comes to its end first, and none after it."""
        with self._turn:
            self._closed = True
            self._engine.dispose()

    def chunks(self, now_us: int) -> Iterator[list[Any]]:
        """At most 500 rows at a time, none where a search for some has failed. Never raises for damage.

        Each `next` may be called from another thread.
        """
        day = now_us // DAY_US + 1
        while day >= FIRST_DAY and self._failures < MAX_FAILURES:
            there = False
            for rows in self._of_day(day):
                there = there or bool(rows)
                yield rows
            day = day - 1 if there else self._day_before(day)

    def _of_day(self, day: int) -> Iterator[list[Any]]:
        spans: list[Span] = [(_number(id_floor(day * DAY_US)), _number(id_floor((day + 1) * DAY_US)), HALVINGS)]
        while spans:
            first, end, halvings = spans.pop()
            for descending in (False, True):
                whole = False
                while not whole and self._failures < MAX_FAILURES:
                    rows, failed = self._fetch(first, end, descending=descending)
                    if rows:
                        yield rows
                        at = _number(bytes(rows[-1][0]))
                        first, end = (first, at) if descending else (at + 1, end)
                    if failed:
                        break
                    whole = len(rows) < ROWS_AT_ONCE
                if whole:
                    break
            else:
                spans += self._halves(first, end, halvings)
                # Thousands of searches may fail: whoever has the time for one need not have it for all.
                yield []

    def _day_before(self, day: int) -> int:
        """The next day to look at when this one has nothing: thousands of empty ones take half a second."""
        query = sa.select(sa.func.max(requests.c.id)).where(requests.c.id < id_floor(day * DAY_US))
        # Where that path into the file is broken, the day before may have one of its own.
        with suppress(exc.SQLAlchemyError), self._turn, self._engine.connect() as connection:
            newest = None if self._closed else connection.execute(query).scalar()
            return FIRST_DAY - 1 if newest is None else min(day - 1, id_moment_us(bytes(newest)) // DAY_US)
        return day - 1

    def _halves(self, first: int, end: int, halvings: int) -> list[Span]:
        """What lies between the last rows that could be read from either side."""
        if not halvings or end - first < 2:
            self.gaps += 1
            return []
        middle = (first + end) // 2
        return [(first, middle, halvings - 1), (middle, end, halvings - 1)]

    def _fetch(self, first: int, end: int, *, descending: bool) -> tuple[list[Any], bool]:
        """The next rows from one side, and whether damage was met behind them."""
        query = _SELECT.where(requests.c.id >= first.to_bytes(16), requests.c.id < end.to_bytes(16))
        order = requests.c.id.desc() if descending else requests.c.id
        rows: list[Any] = []
        try:
            with self._turn, self._engine.connect() as connection:
                if self._closed:
                    return [], False
                found = connection.execute(query.order_by(order).limit(ROWS_AT_ONCE))
                while (row := found.fetchone()) is not None:
                    rows.append(row)
        except exc.SQLAlchemyError:
            self._failures += 1
            return rows, True
        return rows, False

    def entries(self, rows: list[Any]) -> list[LedgerEntry]:
        """What these rows say; one that makes no sense is a gap."""
        entries = []
        for row in rows:
            try:
                entries.append(entry_of(row))
            except Exception:
                # Bytes that were changed can spell anything.
                self.gaps += 1
        return entries


def _number(id: bytes) -> int:
    return int.from_bytes(id)
