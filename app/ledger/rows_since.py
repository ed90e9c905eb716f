"""From when on the ledger has every row: 0 until rows are deleted, then a UTC midnight."""

import sqlalchemy as sa

from app.ledger.tables import schema_info

_NAME = "rows_since_us"


def rows_since_us(connection: sa.Connection) -> int:
    """UTC microseconds; older rows may have been deleted, their daily sums not."""
    found = connection.execute(sa.select(schema_info.c.value).where(schema_info.c.name == _NAME)).scalar()
    return 0 if found is None else int(found)


def set_rows_since(connection: sa.Connection, at_us: int) -> None:
    """Remember it; call it in the transaction that deletes the first older row."""
    connection.execute(schema_info.delete().where(schema_info.c.name == _NAME))
    connection.execute(schema_info.insert(), {"name": _NAME, "value": str(at_us)})
