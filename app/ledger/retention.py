"""Deletes rows that are older than the team keeps them, and remembers from when on rows are whole.

Daily sums are always kept, so for days before `rows_since_us` they say more than the rows do: lists leave those days
out, proofs do not look at them, and a new reporting zone takes them over from UTC.
"""

import sqlalchemy as sa

from app.ledger.clock import DAY_US, id_floor
from app.ledger.database import Database
from app.ledger.days import COMPLETE
from app.ledger.rollup import read_calendars
from app.ledger.rows_since import rows_since_us, set_rows_since
from app.ledger.tables import requests

DELETED_AT_ONCE = 500


def oldest_kept_us(now_us: int, days: int) -> int:
    """The midnight (UTC) from which on rows are kept: the day that is `days` days ago is the first whole one."""
    return (now_us // DAY_US - days) * DAY_US


async def delete_some(database: Database, before_us: int) -> int:
    """Delete at most 500 rows from before this UTC midnight, oldest first; returns how many. Raises LedgerError.

    Nothing is deleted while a calendar is being built from the rows.
    """

    def work(connection: sa.Connection) -> int:
        if any(first != COMPLETE for _, _, first in read_calendars(connection)):
            return 0
        old = sa.select(requests.c.id).where(requests.c.id < id_floor(before_us)).order_by(requests.c.id)
        ids = [row[0] for row in connection.execute(old.limit(DELETED_AT_ONCE))]
        if not ids:
            return 0
        if before_us > rows_since_us(connection):
            set_rows_since(connection, before_us)
        connection.execute(requests.delete().where(requests.c.id.in_(ids)))
        return len(ids)

    return await database.write(work)
