"""`python -m app.ledger.migrate FILE`: brings one SQLite file to the newest schema with Alembic.

Runs as a child process of `schema.prepare_schema`, which holds the lock.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config


def migration_config(path: Path) -> Config:
    """Alembic's configuration for the ledger in this file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}".replace("%", "%%"))
    return config


def main() -> None:
    """Upgrade the file named on the command line."""
    command.upgrade(migration_config(Path(sys.argv[1])), "head")


if __name__ == "__main__":
    main()
