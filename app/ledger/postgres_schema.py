"""Brings a PostgreSQL database to the schema this code speaks, as `schema` does it for a file.

Everything happens in one transaction under the lock that all writers take: processes that start together take turns,
and one that is killed half-way leaves what was there before.
"""

import subprocess
import sys

import sqlalchemy as sa

from app.errors import LedgerError
from app.ledger.advice_tables import METADATA
from app.ledger.postgres_line import Line
from app.ledger.postgres_url import PostgresTarget
from app.ledger.schema import HEAD, REVISIONS, add_first_rows, reason_in

MIGRATION_WAIT_S = 600
_VERSION_TABLE = "alembic_version"


def prepare_schema(target: PostgresTarget, url: str) -> bool:
    """Create, migrate or accept the tables; True if they were made. Raises LedgerError, LedgerAway, SQLAlchemyError.

    Blocks: call it in a thread.
    """
    line = Line(target, writes=True)
    try:
        version, made = line.run(lambda connection: _accept(connection, target))
        if version != HEAD and version in REVISIONS:
            _migrate(target, url)
        return made
    finally:
        line.close()


def _accept(connection: sa.Connection, target: PostgresTarget) -> tuple[str, bool]:
    """The version that is there, and whether it was made just now."""
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
    present = set(connection.exec_driver_sql(query).scalars())
    version = None
    if _VERSION_TABLE in present:
        version = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608
    if version is None:
        foreign = sorted(present & METADATA.tables.keys())
        if foreign:
            raise LedgerError(
                f"{target.shown} holds tables that are not Lectr's ({', '.join(foreign[:3])}): give Lectr a database "
                "of its own, or a schema: ?options=-csearch_path%3Dlectr"
            )
        create_tables(connection)
        return HEAD, True
    if version in REVISIONS:
        return version, False
    oldest = None
    if "schema_info" in present:
        oldest = connection.exec_driver_sql("SELECT value FROM schema_info WHERE name = 'oldest_code'").scalar()
    if oldest not in REVISIONS:
        raise LedgerError(
            f"{target.shown} was written by a newer Lectr (schema {version}) that this version ({HEAD}) cannot read, "
            "or belongs to another program; install that version again, or restore a backup from before the upgrade"
        )
    return version, False


def create_tables(connection: sa.Connection) -> None:
    """Make all tables and mark them as of this code's revision."""
    METADATA.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO {_VERSION_TABLE} VALUES ($1)", (HEAD,))  # noqa: S608
    add_first_rows(connection)


def _migrate(target: PostgresTarget, url: str) -> None:
    # The URL goes through a pipe: everybody on the machine can read command lines.
    command = [sys.executable, "-m", "app.ledger.migrate", "-"]
    try:
        child = subprocess.run(  # noqa: S603
            command, input=url.encode(), capture_output=True, timeout=MIGRATION_WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise LedgerError(f"{target.shown} could not be brought to schema {HEAD} within ten minutes") from None
    if child.returncode != 0:
        reason = reason_in(target.scrubbed(child.stderr.decode("utf-8", "replace")))
        raise LedgerError(
            f"{target.shown} could not be brought to schema {HEAD}: {reason}; everything is as it was before"
        )
