"""Versions that take turns on one ledger, each killed in the middle: schemas up and down, records old and new."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from alembic import command

from app.ledger.migrate import migration_config
from app.ledger.schema import HEAD, REVISIONS, schema_version
from app.ledger.spool_files import PARKED, segments
from tests.faults.clients import Crowd, Seen
from tests.faults.next_version import add_revision
from tests.faults.oracle import Verdict, judge
from tests.faults.processes import Gateway, Provider
from tests.faults.runs import Run, box

LEGS = ("now", "now", "later", "now", "later")
"""Which version serves; each is killed under load. After the first the file goes back to the schema it begins with."""
LOAD_S = 0.8
SETTLES_WITHIN_S = 30.0


def versions(
    folder: Path,
    *,
    begins: Sequence[str] = REVISIONS,
    now: str | None = None,
    later: str = "later-version",
    database: str = "",
) -> Run:
    """From each of these schemas up to this version's, on to a later version, back, and on again.

    The later version has another schema and writes records that this one cannot read. `now` and `later` are controls.
    """
    total, ready, parked, left, unconfirmed = Verdict(), [0.0], 0, 0, 0
    health: Mapping[str, Any] = {}
    for revision in begins:
        place = folder / revision
        with _two_versions(place, now, later, database) as (provider, gateways):
            seen, most_parked, late = _legs(gateways, gateways["now"].make_key(), revision)
            gateways["later"].start()
            health = gateways["later"].settle(SETTLES_WITHIN_S)
            assert gateways["later"].terminate() == 0
            verdict = judge(seen, provider.arrived(), gateways["now"].settings)
            missing = verdict.complete_without_row, verdict.forwarded_without_row
            verdict.complete_without_row, verdict.forwarded_without_row = (max(0, many - late) for many in missing)
            unconfirmed += late
            total.add(verdict)
            spool = gateways["now"].data_dir / "spool"
            left += len(segments(spool, PARKED))
            parked += most_parked
            ready = [*ready[1:], *gateways["now"].ready_s, *gateways["later"].ready_s]
        # Otherwise no record of the later version was in the way of this one, and nothing is shown.
        assert most_parked or now, "nothing was parked"
    notes = {"schemas": len(begins), "parked": parked, "unconfirmed": unconfirmed}
    return Run(total, ready, health, failures=left, notes=notes)


@contextlib.contextmanager
def _two_versions(
    folder: Path, now: str | None, later: str, database: str
) -> Iterator[tuple[Provider, dict[str, Gateway]]]:
    revisions = folder / "revisions"
    add_revision(revisions)
    environ = {"LECTR_FAULTS_REVISIONS": str(revisions), "LECTR_FAULTS_MARK": os.devnull}
    with box(folder, now, database=database, environ=environ) as (provider, gateway), ExitStack() as stack:
        aside = folder / "later"
        aside.mkdir()
        other = Gateway(aside, provider.port, later, gateway.port, database=database, environ=environ)
        stack.callback(other.end)
        other.share(gateway.data_dir)
        yield provider, {"now": gateway, "later": other}


def _legs(gateways: Mapping[str, Gateway], key: str, begins: str) -> tuple[list[Seen], int, int]:
    """What the clients saw, how many segments were parked at most, and how many records were not confirmed in time."""
    seen: list[Seen] = []
    parked = unconfirmed = 0
    for number, version in enumerate(LEGS):
        gateway = gateways[version]
        gateway.start()
        if "later" in LEGS[:number] and version == "now":
            # On a slow machine it would be killed before it has looked at what the later one left.
            _until_adopted(gateway)
        crowd = Crowd(gateway.port, key, clients=16, leaves=0.02, seed=number)
        unconfirmed += asyncio.run(_loaded_and_killed(crowd, gateway))
        seen += crowd.seen
        parked = max(parked, len(segments(gateway.data_dir / "spool", PARKED)))
        if number == 0 and begins != HEAD:
            put_back(gateway.data_dir / "lectr.db", begins)
    return seen, parked, unconfirmed


def _until_adopted(gateway: Gateway) -> None:
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while gateway.orphans():
        assert time.monotonic() < deadline, gateway.orphans()
        time.sleep(0.05)


async def _loaded_and_killed(crowd: Crowd, gateway: Gateway) -> int:
    """Returns how many records the spool had not confirmed in time: that many rows may be missing, by its own word."""
    calling = asyncio.create_task(crowd.call_for(LOAD_S))
    await asyncio.sleep(LOAD_S * 0.8)
    unconfirmed: int = (await asyncio.to_thread(gateway.health))["ledger_unconfirmed"]
    await asyncio.to_thread(gateway.kill)
    await calling
    return unconfirmed


def put_back(path: Path, revision: str) -> None:
    """Make the file what an older version would have left: its rows in tables and indexes of that schema."""
    model = path.with_name(f"{revision}.model")
    command.upgrade(migration_config(model), revision)
    tables, indexes = _shape(model)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        present, known = _shape(path)
        connection.execute("BEGIN IMMEDIATE")
        for name in present.keys() - tables.keys():
            connection.execute(f"DROP TABLE {name}")
        for name, sql in known.items():
            if sql != indexes.get(name) and _has(connection, name):
                connection.execute(f"DROP INDEX {name}")
        for name, sql in indexes.items():
            if not _has(connection, name):
                connection.execute(sql)
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.execute("COMMIT")
    assert _shape(path) == (tables, indexes)
    assert schema_version(path) == revision
    model.unlink()


def _has(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None


def _shape(path: Path) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The tables with their columns, and the indexes with what made them, by name."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        indexes = {name: " ".join(sql.split()) for name, sql in connection.execute(query)}
        return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}, indexes
