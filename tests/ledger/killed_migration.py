"""Migrates a file and dies at the Nth statement: python -m tests.ledger.killed_migration FILE REVISION [N ...].

Prints one line per N: how many statements ran before it died, or `whole`. The packages are loaded once, each try is a
fork.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from sqlalchemy import event

from app.ledger.migrate import migration_config


def migrate(path: Path, dies_at: int) -> None:
    """Upgrade to the newest schema; the process is gone before the statement with this number."""
    done = 0

    def count(*_: Any) -> None:
        nonlocal done
        done += 1
        if done == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(sa.Engine, "before_cursor_execute", count)
    event.listen(sa.Engine, "commit", count)
    command.upgrade(migration_config(path), "head")


def main(original: Path, folder: Path) -> None:
    """Die at every statement in turn, each time on a copy of its own: FOLDER/N.db."""
    number = 0
    while True:
        number += 1
        copy = folder / f"{number}.db"
        shutil.copy(original, copy)
        child = os.fork()
        if child == 0:
            migrate(copy, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(number)
            return
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"the migration failed at {number}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
