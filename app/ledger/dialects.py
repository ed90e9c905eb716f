"""The few statements that SQLAlchemy spells per database: inserts that meet an existing row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

_ARRAYS: tuple[tuple[Any, str], ...] = (
    (sa.SmallInteger, "smallint[]"),
    (sa.BigInteger, "bigint[]"),
    (sa.Integer, "integer[]"),
    (sa.LargeBinary, "bytea[]"),
    # Not varchar(n): a cast to that cuts what is too long, and says nothing.
    (sa.String, "text[]"),
)


def _insert(dialect: sa.Dialect, table: sa.Table) -> Any:
    if dialect.name == "sqlite":
        return sqlite.insert(table)
    # Imported late: who keeps the ledger in a file need not pay for what a server needs.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def insert_ignoring(dialect: sa.Dialect, table: sa.Table, *unique: str) -> Any:
    """An insert that leaves a row alone whose `unique` columns exist already."""
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=list(unique))


def insert_merging(
    dialect: sa.Dialect, table: sa.Table, unique: tuple[str, ...], merge: Mapping[str, Callable[[Any, Any], Any]]
) -> Any:
    """An insert that, where the row exists, sets each column of `merge` to merge[column](old, new)."""
    statement = _insert(dialect, table)
    changed = {name: how(table.c[name], statement.excluded[name]) for name, how in merge.items()}
    return statement.on_conflict_do_update(index_elements=list(unique), set_=changed)


def count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let ids be counted on from the highest one, after rows came with ids of their own."""
    if connection.dialect.name == "postgresql":
        highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        serial = sa.func.pg_get_serial_sequence(sa.literal(table.name, sa.Text), sa.literal("id", sa.Text))
        connection.execute(sa.select(sa.func.setval(serial, sa.func.coalesce(highest, 1), highest.is_not(None))))


class RowInsert:
    """An insert of many prebuilt tuples in one go: a list of rows for SQLite, an array per column for PostgreSQL."""

    def __init__(self, statement: Any, dialect: sa.Dialect, columns: tuple[str, ...]) -> None:
        bound = statement.values({name: sa.bindparam(name) for name in columns})
        compiled = bound.compile(dialect=dialect)
        if tuple(compiled.positiontup or ()) != columns:
            raise AssertionError(f"columns are bound in another order: {compiled.positiontup}")
        self._by_column = dialect.name == "postgresql"
        self._text = _from_arrays(str(compiled), statement.table, columns) if self._by_column else str(compiled)

    def run(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows, at least one; returns how many were inserted or changed."""
        if self._by_column:
            # Tuples of lists are the arguments of one statement, a list of tuples those of many.
            return connection.exec_driver_sql(self._text, tuple(map(list, zip(*rows, strict=True)))).rowcount
        return connection.exec_driver_sql(self._text, list(rows)).rowcount


def _from_arrays(text: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    """The same insert with its rows from arrays: 500 rows are one statement to send, parse and plan."""
    arrays = (f"${number}::{_array_type(table.c[name])}" for number, name in enumerate(columns, 1))
    before, _, after = text.partition(" VALUES ")
    # What stands in the parentheses are the bound values alone, so the first one closes them.
    return f"{before} SELECT * FROM unnest({', '.join(arrays)}){after.partition(')')[2]}"  # noqa: S608 - names of our own


def _array_type(column: "sa.Column[Any]") -> str:
    for kind, name in _ARRAYS:
        if isinstance(column.type, kind):
            return name
    raise AssertionError(f"no array of {column.type!r}")
