"""`python -m app.ledger.migrate FILE`: brings one SQLite file to the newest schema with Alembic; `-` instead of FILE
reads the URL of a PostgreSQL from standard input.

Runs as a child process of `schema.prepare_schema`, which holds the lock, and of `postgres_schema.prepare_schema`.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from app.ledger.postgres_url import PostgresTarget, read_postgres_url


def migration_config(place: Path | PostgresTarget) -> Config:
    """Alembic's configuration for the ledger in this file, or on this server."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["place"] = place
    return config


def main() -> None:
    """Upgrade what the command line names."""
    named = sys.argv[1]
    place = read_postgres_url(sys.stdin.read()) if named == "-" else Path(named)
    command.upgrade(migration_config(place), "head")


if __name__ == "__main__":
    main()
