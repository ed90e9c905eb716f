"""Alembic's entry: one connection, one transaction, for the file or server that `migrate` names."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlalchemy import event

from app.ledger.postgres_line import Line
from app.ledger.postgres_url import PostgresTarget
from app.ledger.sqlite_files import url_of


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, transactional_ddl=True)
    context.run_migrations()


def run_on_file(path: Path) -> None:
    engine = sa.create_engine(url_of(path), poolclass=sa.NullPool)

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as opened:
        run(opened)


place: Path | PostgresTarget = context.config.attributes["place"]
if isinstance(place, Path):
    run_on_file(place)
else:
    line = Line(place, writes=True)
    try:
        line.run(run)
    finally:
        line.close()
