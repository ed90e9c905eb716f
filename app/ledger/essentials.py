"""The small tables nobody can do without (keys, users, what the team has set), and a copy of them beside the database.

The copy is what is left of them when the database is lost or damaged just there: without it every program would get
401. It is a file of its own, 0600 as the database, and holds what the database holds: digests, no secrets.
"""

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from app.ledger.advice_tables import advice_decisions
from app.ledger.tables import keys, ledger_parked, overrides, team_files, team_values, users

ESSENTIAL_TABLES = (keys, users, team_values, team_files, overrides, advice_decisions, ledger_parked)
SERVING_TABLES = (keys, team_values, team_files, overrides)
COPY_SUFFIX = ".essentials"

Rows = list[dict[str, Any]]
Essentials = dict[str, Rows]
"""Rows by table name."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, list[dict[str, Any]]]).decode


def copy_of(database: Path) -> Path:
    """Where the copy of this database's small tables lies."""
    return database.with_name(database.name + COPY_SUFFIX)


def read_essentials(connection: sa.Connection) -> Essentials:
    """All rows of the small tables; of a database server's, what programs are served with while it is away."""
    chosen = ESSENTIAL_TABLES if connection.dialect.name == "sqlite" else SERVING_TABLES
    return {
        str(table.name): [
            dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        ]
        for table in chosen
    }


def keep_copy(database: Path, found: Essentials) -> None:
    """Write the copy, whole or not at all. Raises OSError."""
    path = copy_of(database)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encode(found))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_copy(database: Path) -> Essentials:
    """What the copy holds; nothing where there is none or it cannot be read."""
    try:
        return _decode(copy_of(database).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}


class Salvaged(msgspec.Struct):
    """What a damaged file still gave of its small tables: rows by table, and the tables that may have had more."""

    rows: Essentials
    incomplete: list[str]


def salvage(damaged: Path) -> Salvaged:
    """Read the small tables row by row, from both ends towards what cannot be read. Never raises for damage."""
    found = Salvaged({}, [])
    for table in ESSENTIAL_TABLES:
        # A connection for each: one that has met damage may refuse what another can read.
        with contextlib.closing(sqlite3.connect(damaged, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            rows, whole = _from_both_ends(connection, table)
        found.rows[str(table.name)] = rows
        if not whole:
            found.incomplete.append(str(table.name))
    return found


def _from_both_ends(connection: sqlite3.Connection, table: sa.Table) -> tuple[Rows, bool]:
    rows: dict[int, dict[str, Any]] = {}
    columns = ", ".join(column.name for column in table.columns)
    for order in ("ASC", "DESC"):
        try:
            # The names come from our own tables.
            query = f"SELECT rowid AS place, {columns} FROM {table.name} ORDER BY rowid {order}"  # noqa: S608
            for row in connection.execute(query):
                rows[row["place"]] = {name: row[name] for name in row.keys() if name != "place"}  # noqa: SIM118
            return [rows[place] for place in sorted(rows)], True
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return [], True
        except (sqlite3.Error, UnicodeDecodeError):
            continue
    return [rows[place] for place in sorted(rows)], False


def joined(salvaged: Salvaged, copied: Essentials) -> Essentials:
    """What was salvaged, with the copy's rows where the file may have had more than could be read."""
    whole: Essentials = {}
    for table in ESSENTIAL_TABLES:
        keyed = (
            {_key(table, row): row for row in copied.get(table.name, ())} if table.name in salvaged.incomplete else {}
        )
        keyed |= {_key(table, row): row for row in salvaged.rows.get(table.name, ())}
        whole[str(table.name)] = list(keyed.values())
    return whole


def _key(table: sa.Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(column.name) for column in table.primary_key)


def put_essentials(connection: sa.Connection, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Insert the rows into the empty tables of a new ledger; returns how many each has taken.

    A row that the table refuses, because damage has changed it, is left out.
    """
    taken: dict[str, int] = {}
    for table in ESSENTIAL_TABLES:
        names = {column.name for column in table.columns}
        for row in found.get(table.name, ()):
            values = {name: value for name, value in row.items() if name in names}
            try:
                with connection.begin_nested():
                    connection.execute(table.insert(), values)
            except (exc.SQLAlchemyError, TypeError, ValueError):
                continue
            taken[str(table.name)] = taken.get(table.name, 0) + 1
    return taken
