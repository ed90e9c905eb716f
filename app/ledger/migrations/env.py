"""Alembic's entry: one connection, one transaction, for the file or server that `migrate` names."""

from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlalchemy import event

from app.ledger.postgres_line import Line


def run(connection: sa.Connection) -> None:
    context.configure(connection=connection, transactional_ddl=True)
    context.run_migrations()


def run_on_file() -> None:
    engine = sa.create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=sa.NullPool)

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as opened:
        run(opened)


target = context.config.attributes.get("target")
if target is None:
    run_on_file()
else:
    line = Line(target, writes=True)
    try:
        line.run(run)
    finally:
        line.close()
