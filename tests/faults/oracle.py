"""Judges a run by its three witnesses: the clients, the provider's log, and the ledger after the last start.

It reads the database with plain SQL and knows nothing of the gateway but its tables.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.database import open_database
from app.ledger.verify import verify_rollup
from app.settings import Settings
from tests.faults.clients import Seen
from tests.faults.upstream import usage_of

INPUT_PICOUSD, OUTPUT_PICOUSD = 150_000, 600_000
"""gpt-4o-mini at 0.15 and 0.60 dollars per million tokens, as OpenAI lists it."""
_ROWS = """SELECT g.feature, g.outcome, g.status, r.input_tokens, r.output_tokens, r.cost_picousd
    FROM requests r JOIN groups g ON g.id = r.group_id"""


class Row(msgspec.Struct, frozen=True):
    """One row of the ledger."""

    outcome: str
    status: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_picousd: int | None


class Verdict(msgspec.Struct):
    """Counts of what must not be, by invariant, and what the run was made of."""

    complete: int = 0
    forwarded: int = 0
    rows: int = 0
    outcomes: dict[str, int] = {}
    complete_without_row: int = 0
    twice: int = 0
    forwarded_without_row: int = 0
    invented: int = 0
    wrong_usage_or_cost: int = 0
    sums_wrong: list[str] = []
    wrong_bytes: int = 0
    integrity: str = "ok"

    def add(self, other: "Verdict") -> None:
        """Count what another run has shown too."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, int):
                setattr(self, name, mine + theirs)
            elif isinstance(mine, dict):
                setattr(self, name, dict(Counter(mine) + Counter(theirs)))
            elif isinstance(mine, list):
                mine.extend(theirs)
            elif theirs != "ok":
                setattr(self, name, theirs)

    @property
    def broken(self) -> list[str]:
        """The invariants that do not hold."""
        checks = {
            "I1": self.complete_without_row,
            "I2": self.twice,
            "I3": self.forwarded_without_row,
            "I4": self.invented,
            "I5": self.wrong_usage_or_cost,
            "I6": len(self.sums_wrong),
            "I7": self.wrong_bytes,
            "I8": self.integrity != "ok",
        }
        return [name for name, wrong in checks.items() if wrong]


class Books(msgspec.Struct):
    """What the database holds after the last start: rows by nonce, what SQLite and the daily sums say."""

    rows: dict[str, list[Row]]
    integrity: str
    sums_wrong: list[str]


async def _read(settings: Settings) -> Books:
    database = await open_database(settings)
    try:
        rows, integrity = await database.read(_rows_and_integrity)
        return Books(rows, integrity, await verify_rollup(database))
    finally:
        await database.close()


def _rows_and_integrity(connection: sa.Connection) -> tuple[dict[str, list[Row]], str]:
    rows: dict[str, list[Row]] = defaultdict(list)
    values: Any
    for nonce, *values in connection.exec_driver_sql(_ROWS):
        rows[nonce].append(Row(*values))
    is_sqlite = connection.dialect.name == "sqlite"
    integrity = str(connection.exec_driver_sql("PRAGMA integrity_check").scalar()) if is_sqlite else "ok"
    return rows, integrity


def judge(witnessed: Iterable[Seen], arrived: Iterable[str], settings: Settings) -> Verdict:
    """Compare the three witnesses; `arrived` are the nonces the provider has logged. Lectr has ended or is idle."""
    seen = {one.nonce: one for one in witnessed}
    complete = {one.nonce for one in seen.values() if one.complete and one.status == 200}
    forwarded = Counter(arrived)
    books = asyncio.run(_read(settings))
    rows = books.rows
    ended_well = {nonce: row for nonce, found in rows.items() for row in found if row.outcome == "ok"}
    return Verdict(
        complete=len(complete),
        forwarded=len(forwarded),
        rows=sum(map(len, rows.values())),
        outcomes=dict(Counter(row.outcome for found in rows.values() for row in found)),
        complete_without_row=sum(nonce not in rows for nonce in complete),
        twice=sum(len(found) > 1 for found in rows.values()) + sum(times > 1 for times in forwarded.values()),
        forwarded_without_row=sum(nonce not in rows for nonce in forwarded),
        invented=sum(nonce not in seen for nonce in rows) + sum(nonce not in forwarded for nonce in ended_well),
        wrong_usage_or_cost=sum(not _is_right(nonce, row) for nonce, row in ended_well.items()),
        sums_wrong=books.sums_wrong,
        wrong_bytes=sum(not one.as_sent for one in seen.values()),
        integrity=books.integrity,
    )


def _is_right(nonce: str, row: Row) -> bool:
    usage = usage_of(nonce)
    tokens = usage["prompt_tokens"], usage["completion_tokens"]
    cost = tokens[0] * INPUT_PICOUSD + tokens[1] * OUTPUT_PICOUSD
    return (row.input_tokens, row.output_tokens, row.cost_picousd) == (*tokens, cost)
