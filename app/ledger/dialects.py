"""The few statements that SQLAlchemy spells per database: inserts that meet an existing row."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_ignoring(dialect: sa.Dialect, table: sa.Table, *unique: str) -> Any:
    """An insert that leaves a row alone whose `unique` columns exist already."""
    return _INSERTS[dialect.name](table).on_conflict_do_nothing(index_elements=list(unique))


def insert_merging(
    dialect: sa.Dialect, table: sa.Table, unique: tuple[str, ...], merge: Mapping[str, Callable[[Any, Any], Any]]
) -> Any:
    """An insert that, where the row exists, sets each column of `merge` to merge[column](old, new)."""
    statement = _INSERTS[dialect.name](table)
    changed = {name: how(table.c[name], statement.excluded[name]) for name, how in merge.items()}
    return statement.on_conflict_do_update(index_elements=list(unique), set_=changed)


def positional(statement: Any, dialect: sa.Dialect, columns: tuple[str, ...]) -> str:
    """The text of an insert of these columns in the driver's own style, for prebuilt tuples."""
    bound = statement.values({name: sa.bindparam(name) for name in columns})
    compiled = bound.compile(dialect=dialect)
    if tuple(compiled.positiontup or ()) != columns:
        raise AssertionError(f"columns are bound in another order: {compiled.positiontup}")
    return str(compiled)
