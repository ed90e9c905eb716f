"""Lectr with one of its safeguards taken out, which the harness must call broken, or with the world around it changed.

Run: python -m tests.faults.controls NAME serve ...
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

Change = Callable[[], None]
CHANGES: dict[str, Change] = {}


def change(name: str) -> Callable[[Change], Change]:
    """Register a change of the running program; nothing of this is in the product."""

    def register(function: Change) -> Change:
        CHANGES[name] = function
        return function

    return register


def put(target: Any, name: str, value: Any) -> None:
    """Put something else in the place of a name."""
    setattr(target, name, value)


@change("no-spool")
def _no_spool() -> None:
    import app.asgi

    put(app.asgi, "Journal", lambda *_values, **_named: None)


@change("no-conflict")
def _no_conflict() -> None:
    import app.ledger.insert
    import app.ledger.writer
    from app.ledger.dialects import RowInsert

    with_conflict = app.ledger.insert._statement

    def without(dialect: sa.Dialect) -> RowInsert:
        insert = with_conflict(dialect)
        insert._text = insert._text.replace("INSERT INTO", "INSERT OR REPLACE INTO").partition(" ON CONFLICT")[0]
        return insert

    async def unsorted(_database: Any, entries: Any) -> Any:
        return entries

    put(app.ledger.insert, "_statement", without)
    # Rows that come back from the spool are looked for first: then no insert would meet a row that is there.
    put(app.ledger.writer, "missing_from", unsorted)


@change("gives-up")
def _gives_up() -> None:
    """A batch that the database refuses is dropped, as other gateways do."""
    from app.ledger.writer import LedgerWriter

    async def once(_self: object, work: Any) -> None:
        try:
            await work()
        except Exception:
            logging.getLogger("lectr").warning("dropped")

    put(LedgerWriter, "_until_possible", once)


@change("gives-up-at-once")
def _gives_up_at_once() -> None:
    """The same, and nobody waits for the other process to end its turn."""
    import app.ledger.sqlite_engines

    _gives_up()
    app.ledger.sqlite_engines._OPTIONS["timeout"] = 0
    put(app.ledger.sqlite_engines, "BUSY_TIMEOUT_MS", 0)


@change("no-rebuild")
def _no_rebuild() -> None:
    from app.ledger.replay import Replay

    async def rebuild(_self: object) -> bool:
        return False

    put(Replay, "rebuild", rebuild)


@change("no-mend")
def _no_mend() -> None:
    """A damaged file is left where it is."""
    import app.ledger.database
    import app.ledger.sqlite_engines

    for module in (app.ledger.database, app.ledger.sqlite_engines):
        put(module, "replace_damaged", lambda _path: False)
    put(app.ledger.database, "mend", lambda _path, _within_s: None)


@change("no-watch")
def _no_watch() -> None:
    """Nobody looks whether the client is still there."""
    from app.edge.client import Client

    put(Client, "watch", lambda _self: None)


@change("no-drain")
def _no_drain() -> None:
    from app.edge.drain import Drain

    async def run(self: Any, _timeout_s: float) -> None:
        self.draining = True

    put(Drain, "run", run)


@change("hurried")
def _hurried() -> None:
    """No safeguard less: the database is looked through every second instead of every ten minutes."""
    import app.ledger.care

    for name in ("CHECK_EVERY_S", "FIRST_CHECK_S", "COPY_EVERY_S", "LOOK_EVERY_S"):
        put(app.ledger.care, name, 1.0)
    put(app.ledger.care, "CHECK_SHARE", 1)


@change("hurried-no-mend")
def _hurried_no_mend() -> None:
    _hurried()
    _no_mend()


@change("jumping-clock")
def _jumping_clock() -> None:
    """No safeguard less: the wall clock jumps an hour back or a day on."""
    real = time.time_ns
    jumps = (0, -3600, 86400, 0, -7200, 172800)

    def jumping() -> int:
        now = real()
        return now + jumps[now // 100_000_000 % len(jumps)] * 10**9

    put(time, "time_ns", jumping)
    put(time, "time", lambda: jumping() / 1e9)


@change("wall-clock")
def _wall_clock() -> None:
    """Durations are taken from the wall clock, which jumps."""
    _jumping_clock()
    put(time, "perf_counter_ns", time.time_ns)


@change("talking")
def _talking() -> None:
    """No safeguard less: each request has 20 lines to say."""
    from app.pipeline import Pipeline

    run = Pipeline.run

    async def talk(self: Any, *values: Any) -> None:
        for _ in range(20):
            logging.getLogger("lectr").warning("x" * 300)
        await run(self, *values)

    put(Pipeline, "run", talk)


@change("talking-in-line")
def _talking_in_line() -> None:
    """Every log line is written where it comes up."""
    import app.commands.serving
    from app.commands.logs import JsonLines

    _talking()

    class Nothing:
        def stop(self) -> None:
            return

    def start() -> Any:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logging.getLogger().handlers = [handler]
        return Nothing()

    put(app.commands.serving, "start_logging", start)


@change("no-adopt")
def _no_adopt() -> None:
    """What a dead process left in the spool is left there."""
    from app.ledger.replay import Replay

    async def adopt(_self: object, **_named: object) -> None:
        await asyncio.sleep(0)

    put(Replay, "adopt", adopt)


@change("no-cap")
def _no_cap() -> None:
    """As many clients are let in as come."""
    import app.edge.server

    put(app.edge.server, "connection_cap", lambda: 10**6)


@change("small-parts")
def _small_parts() -> None:
    """No safeguard less: segments are full, and the WAL is moved into the file, many times in a second.

    An answer waits for its record as long as it takes.
    """
    import app.ledger.sqlite_engines
    import app.pipeline
    from app.ledger.spool import Spool

    named: Any = Spool.__init__.__kwdefaults__
    named["segment_bytes"] = 64 * 1024
    put(app.ledger.sqlite_engines, "CHECKPOINT_PAGES", 50)
    put(app.pipeline, "CONFIRM_S", 20.0)


@change("no-spool-syncs")
def _no_spool_syncs() -> None:
    """What the spool writes is left to the kernel."""
    from app.ledger.spool_files import SegmentFile

    _small_parts()
    put(SegmentFile, "sync", lambda _self: None)


@change("no-name-syncs")
def _no_name_syncs() -> None:
    """A segment's content is synced, its name is not."""
    import app.ledger.spool_files

    _small_parts()
    put(app.ledger.spool_files, "sync_folder", lambda _folder: None)


@change("no-database-syncs")
def _no_database_syncs() -> None:
    """SQLite leaves its file to the kernel."""
    from sqlalchemy import event

    import app.ledger.sqlite_engines

    _small_parts()
    configure = app.ledger.sqlite_engines._configure

    def unsynced(engine: sa.Engine, begin: str, *pragmas: str) -> None:
        configure(engine, begin, *pragmas)
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))

    put(app.ledger.sqlite_engines, "_configure", unsynced)


def main() -> None:
    """Take the change that is named first, then run the rest as `lectr` would."""
    from tests.faults.next_version import CHANGES as VERSIONS
    from tests.faults.slow_database import CHANGES as SLOW

    name = sys.argv.pop(1)
    CHANGES.update(VERSIONS | SLOW)
    if name not in CHANGES:
        raise SystemExit(f"no such change: {name}")
    CHANGES[name]()
    from app.__main__ import main as lectr

    lectr()


if __name__ == "__main__":
    main()
