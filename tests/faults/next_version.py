"""The version that comes after this one, as far as the ledger sees it: a later schema, records of a later spool.

LECTR_FAULTS_REVISIONS names the folder with its revisions, which `add_revision` makes.
Run, as a child of the controls below: python -m tests.faults.next_version FILE (or -), as app.ledger.migrate.
LECTR_FAULTS_MARK names a file that gets a byte for every statement, LECTR_FAULTS_NEXT a migration of a wrong kind.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from sqlalchemy import event

from tests.faults import next_schema

STATEMENT_S = 0.005
"""Each statement of the migration takes at least so long, so that it can be killed between any two."""
_LATER_WORDS = b"later:"


def add_revision(folder: Path) -> str:
    """Invent one more revision; returns its name."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"m{next_schema.FIRST + len(revisions(folder))}"
    shutil.copy(next_schema.__file__, folder / f"{name}.py")
    return name


def revisions(folder: Path) -> tuple[str, ...]:
    """The invented revisions, oldest first."""
    return tuple(sorted(path.stem for path in folder.glob("m9*.py")))


def _put(target: Any, name: str, value: Any) -> None:
    setattr(target, name, value)


def later_schema() -> None:
    """This code knows the invented revisions too, and migrates to the last of them."""
    import app.ledger.postgres_schema
    import app.ledger.schema

    known = (*app.ledger.schema.REVISIONS, *revisions(Path(os.environ["LECTR_FAULTS_REVISIONS"])))
    for module in (app.ledger.schema, app.ledger.postgres_schema):
        _put(module, "REVISIONS", known)
        _put(module, "HEAD", known[-1])
    # The child that migrates must be one of this version too.
    spawn, run = asyncio.create_subprocess_exec, subprocess.run

    def ours(words: Any) -> list[Any]:
        return ["tests.faults.next_version" if word == "app.ledger.migrate" else word for word in words]

    async def spawn_ours(*words: Any, **options: Any) -> Any:
        return await spawn(*ours(words), **options)

    def run_ours(words: Any, **options: Any) -> Any:
        return run(ours(words), check=options.pop("check", False), **options)

    _put(asyncio, "create_subprocess_exec", spawn_ours)
    _put(subprocess, "run", run_ours)


def later_version(*, reads_earlier: bool = True) -> None:
    """A later schema, and a spool whose records this version cannot read; it reads those of this version, or not."""
    import app.ledger.replay
    import app.ledger.spool
    from app.ledger import spool_format
    from app.ledger.spool_format import VERSION, Found, Segment, frame

    later_schema()
    read_segment = spool_format.read_segment

    def later_frame(kind: int, body: bytes) -> bytes:
        return frame(kind, _LATER_WORDS + body, VERSION + 1)

    def read(found: Found) -> Found:
        if found.known:
            return found._replace(known=reads_earlier)
        return Found(found.kind, found.body.removeprefix(_LATER_WORDS), found.body.startswith(_LATER_WORDS))

    def read_later(data: bytes) -> Segment:
        segment = read_segment(data)
        return segment._replace(records=[read(found) for found in segment.records])

    _put(app.ledger.spool, "frame", later_frame)
    _put(app.ledger.replay, "read_segment", read_later)


def drops_unknown() -> None:
    """This version, but segments with records that it cannot read are done with."""
    import app.ledger.replay
    from app.ledger.spool_files import DONE

    _put(app.ledger.replay, "PARKED", DONE)


CHANGES: dict[str, Callable[[], None]] = {
    "later-schema": later_schema,
    "later-version": later_version,
    "later-version-reads-no-earlier": partial(later_version, reads_earlier=False),
    "drops-unknown": drops_unknown,
}
"""For tests.faults.controls: what the running program is changed into."""


def _slowly(mark: Path) -> None:
    """Note each statement in `mark`, and take a moment for it."""

    def note(*_values: Any) -> None:
        with mark.open("ab") as file:
            file.write(b".")
        time.sleep(STATEMENT_S)

    event.listen(sa.Engine, "before_cursor_execute", note)


def _in_halves() -> None:
    """Every statement is for itself, as in a migration outside of a transaction."""

    def spelt(_connection: object, _cursor: object, statement: str, values: Any, *_more: object) -> tuple[str, Any]:
        return ("SELECT 1" if statement == "BEGIN IMMEDIATE" else statement), values

    event.listen(sa.Engine, "before_cursor_execute", spelt, retval=True)


def migrate() -> None:
    """app.ledger.migrate, with the invented revisions beside the true ones."""
    import app.ledger.migrate

    true_config = app.ledger.migrate.migration_config

    def with_later(place: Any) -> Config:
        config = true_config(place)
        folders = (
            f"{Path(app.ledger.migrate.__file__).parent}/migrations/versions",
            os.environ["LECTR_FAULTS_REVISIONS"],
        )
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", os.pathsep.join(folders).replace("%", "%%"))
        return config

    _put(app.ledger.migrate, "migration_config", with_later)
    _slowly(Path(os.environ["LECTR_FAULTS_MARK"]))
    if os.environ.get("LECTR_FAULTS_NEXT") == "halves":
        _in_halves()
    app.ledger.migrate.main()


if __name__ == "__main__":
    migrate()
