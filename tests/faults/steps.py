"""The steps of `make faults`: which runs, for how long, and what each must show."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from app.ledger.schema import HEAD
from tests.faults.client_runs import hang_ups, shutdown
from tests.faults.database_faults import (
    Fault,
    corrupted,
    deleted,
    full,
    locked,
    may_mount,
    read_only,
    replaced,
    small_disk,
)
from tests.faults.disk_runs import disk_errors
from tests.faults.migration_runs import migration
from tests.faults.postgres_faults import has_postgres, no_connections, own_database, read_only_server, restarted
from tests.faults.power_loss import FAST_ROUND_MS, power_loss
from tests.faults.process_runs import blocked_log, few_files, jumping_clock, replay, two_processes, worker_killed
from tests.faults.runs import READY_P99_S, Run, damaged_starts, kill_cycles, under_load
from tests.faults.slow_database import SWITCH, slow, slow_line
from tests.faults.version_runs import versions

RATE_KEPT = 0.95
CLOSED_P99_MS = 250.0
REPLAY_S = 5.0
UNDELAYED = {"slowest_s": 3.0}
"""An answer that waits for a statement of a slow database takes 5 s and more."""
SYNCED_OFTEN = {"fast_round_ms": FAST_ROUND_MS}
DISK_MB = 64


class Step(msgspec.Struct, kw_only=True):
    """One run. `most` are bounds of its notes; a `control` has to be wrong somewhere."""

    name: str
    run: Callable[[Path], Run]
    needs: Callable[[], bool] | None = None
    most: Mapping[str, float] = {}
    ready_p99_s: float | None = None
    rate: float | None = None
    control: bool = False

    def wrong(self, run: Run) -> list[str]:
        """What is not as it must be, a sentence each."""
        found = [f"{name} does not hold: {run.verdict}" for name in run.verdict.broken]
        if run.failures:
            found.append(f"{run.failures} failures")
        if run.health["ledger_lost"] or run.health["ledger_parked"]:
            found.append(f"lost or parked: {run.health}")
        if run.verdict.complete == 0 and not run.notes.get("rows"):
            found.append("nothing was answered")
        if self.ready_p99_s is not None and run.ready_p99_s > self.ready_p99_s:
            found.append(f"ready after {run.ready_p99_s:.2f} s, p99")
        if self.rate is not None and run.during < run.before * self.rate:
            found.append(f"the rate fell from {run.before:.0f} to {run.during:.0f}/s")
        found += [f"{name} is {run.notes[name]}" for name, bound in self.most.items() if run.notes[name] > bound]
        return found


def has_strace() -> bool:
    """it needs strace"""
    return shutil.which("strace") is not None


def is_root() -> bool:
    """it needs root, mount and chattr"""
    return may_mount()


def _full(folder: Path, **options: Any) -> Run:
    # The provider keeps its log elsewhere: only Lectr runs out of room.
    with small_disk(folder / "data", DISK_MB):
        return under_load(folder, full, **options)


def _slow_server(folder: Path, *, seconds: float, control: str | None = None) -> Run:
    with slow_line(own_database(), folder / "data" / SWITCH) as database:
        return under_load(folder, slow, seconds=seconds, control=control, database=database)


def _loaded(fault: Fault, seconds: float, control: str | None = None) -> Callable[[Path], Run]:
    return partial(under_load, fault=fault, seconds=seconds, control=control)


def _control(name: str, run: Callable[[Path], Run], **more: Any) -> Step:
    return Step(name=f"{name}, control", run=run, control=True, **more)


def _on_files() -> list[Step]:
    drains = [
        Step(name=f"SIGTERM {number}", run=partial(shutdown, drain_s=25.0), most={"end_s": 28})
        for number in range(1, 11)
    ]
    return [
        Step(name="locked", run=_loaded(locked, 12), rate=RATE_KEPT),
        Step(name="read-only", run=_loaded(read_only, 12), rate=RATE_KEPT, needs=is_root),
        Step(name="full", run=partial(_full, seconds=8), rate=RATE_KEPT, needs=is_root),
        Step(name="slow", run=_loaded(slow, 12, "slow-driver"), rate=RATE_KEPT, most=UNDELAYED),
        Step(name="deleted", run=_loaded(deleted, 8), rate=RATE_KEPT),
        Step(name="replaced", run=_loaded(replaced, 8), rate=RATE_KEPT),
        Step(name="corrupted", run=_loaded(corrupted, 8, "hurried"), rate=RATE_KEPT),
        Step(name="damaged at rest", run=partial(damaged_starts, seeds=range(100))),
        Step(name="two processes", run=partial(two_processes, seconds=60)),
        Step(name="replay", run=replay, most={"replay_s": REPLAY_S}),
        Step(name="hang-ups", run=partial(hang_ups, count=1000), most={"closed_p99_ms": CLOSED_P99_MS}),
        Step(name="worker killed", run=partial(worker_killed, kills=10)),
        Step(name="few descriptors", run=few_files),
        Step(name="jumping clock", run=jumping_clock),
        Step(name="blocked log", run=blocked_log, most={"end_s": 28}),
        Step(name="disk errors", run=disk_errors, needs=has_strace),
        Step(name="power loss", run=power_loss, most=SYNCED_OFTEN, needs=has_strace),
        *drains,
        _control("locked", _loaded(locked, 3, "gives-up-at-once")),
        _control("slow", _loaded(slow, 6, "slow-driver-asked"), rate=RATE_KEPT, most=UNDELAYED),
        _control("deleted", _loaded(deleted, 3, "no-rebuild")),
        _control("corrupted", _loaded(corrupted, 3, "hurried-no-mend")),
        _control("damaged at rest", partial(damaged_starts, seeds=range(12), control="no-mend")),
        _control("two processes", partial(two_processes, seconds=5, control="gives-up-at-once")),
        _control("few descriptors", partial(few_files, control="no-cap")),
        _control("hang-ups", partial(hang_ups, count=100, control="no-watch"), most={"closed_p99_ms": CLOSED_P99_MS}),
        _control("worker killed", partial(worker_killed, kills=2, control="no-spool")),
        _control("jumping clock", partial(jumping_clock, control="wall-clock")),
        _control("blocked log", partial(blocked_log, control="talking-in-line", seconds=2)),
        _control("disk errors", partial(disk_errors, control="gives-up"), needs=has_strace),
        *(
            _control(f"power loss, {taken}", partial(power_loss, cuts=8, seconds=2.0, control=taken), needs=has_strace)
            for taken in ("no-spool-syncs", "no-name-syncs", "no-database-syncs")
        ),
        _control("SIGTERM", partial(shutdown, live=30, stalled=10, drain_s=5.0, control="no-drain")),
    ]


def _of_versions() -> list[Step]:
    return [
        Step(name="migration under load", run=migration),
        Step(name="versions", run=versions),
        _control("migration, in halves", partial(migration, kills=4, kind="halves")),
        _control("migration, contracting", partial(migration, kills=0, kind="contracting")),
        _control("versions, drops unknown", partial(versions, begins=(HEAD,), now="drops-unknown")),
        _control("versions, no earlier", partial(versions, begins=(HEAD,), later="later-version-reads-no-earlier")),
    ]


def _on_postgres() -> list[Step]:
    """On a server of the tests' own, which is made when the first of these begins."""

    def kills(folder: Path, cycles: int = 15, control: str | None = None) -> Run:
        return kill_cycles(folder, cycles=cycles, control=control, database=own_database())

    def loaded(fault: Fault, seconds: float, control: str | None = None) -> Callable[[Path], Run]:
        return lambda folder: under_load(folder, fault, seconds=seconds, control=control, database=own_database())

    needed: dict[str, Any] = {"needs": has_postgres}
    return [
        Step(name="PostgreSQL, kill -9 x15", run=kills, ready_p99_s=READY_P99_S, **needed),
        Step(name="PostgreSQL, restarted", run=loaded(restarted, 12), rate=RATE_KEPT, **needed),
        Step(name="PostgreSQL, no connections", run=loaded(no_connections, 12), rate=RATE_KEPT, **needed),
        Step(name="PostgreSQL, read-only", run=loaded(read_only_server, 12), rate=RATE_KEPT, **needed),
        Step(
            name="PostgreSQL, slow",
            run=partial(_slow_server, seconds=12),
            rate=RATE_KEPT,
            most=UNDELAYED,
            **needed,
        ),
        Step(
            name="PostgreSQL, migration",
            run=lambda folder: migration(folder, kills=10, database=own_database()),
            **needed,
        ),
        _control("PostgreSQL, kill -9, no-spool", partial(kills, cycles=3, control="no-spool"), **needed),
        _control("PostgreSQL, no connections", loaded(no_connections, 3, "gives-up"), **needed),
        _control(
            "PostgreSQL, slow",
            partial(_slow_server, seconds=6, control="asks-the-database"),
            rate=RATE_KEPT,
            most=UNDELAYED,
            **needed,
        ),
    ]


def STEPS(database: str) -> list[Step]:  # noqa: N802 - a table, made for a database
    """All steps; on a database server those that are not about files."""
    cycles = 15 if database else 60
    kills = Step(
        name=f"kill -9 x{cycles}",
        run=partial(kill_cycles, cycles=cycles, database=database),
        ready_p99_s=READY_P99_S,
    )
    controls = [
        _control(f"kill -9, {control}", partial(kill_cycles, cycles=3, control=control, database=database))
        for control in ("no-spool", *(() if database else ("no-conflict",)))
    ]
    return [kills, *controls, *([] if database else [*_on_files(), *_of_versions(), *_on_postgres()])]
