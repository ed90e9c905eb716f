"""The long form of the gate, with a table at the end: python -m tests.faults [CYCLES] [SECONDS]. Exit 1 if one is lost.

Read-only and full disks need root; elsewhere they are left out, and the table says so.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.faults.runs import (
    Fault,
    Run,
    deleted,
    full,
    kill_cycles,
    locked,
    may_mount,
    read_only,
    replaced,
    small_disk,
    under_load,
)

DISK_MB = 64


def _line(name: str, run: Run, seconds: float) -> str:
    verdict = run.verdict
    ready = sorted(run.ready_s)
    rate = f"{run.before:.0f} -> {run.during:.0f}/s, failures {run.failures}" if run.before else ""
    return (
        f"{name:12} complete {verdict.complete:6} forwarded {verdict.forwarded:6} rows {verdict.rows:6} "
        f"broken {verdict.broken or 'none'} lost {run.health['ledger_lost']} "
        f"unconfirmed {run.health['ledger_unconfirmed']} ready {ready[len(ready) // 2]:.2f}/{ready[-1]:.2f} s "
        f"{rate} [{seconds:.0f} s] {verdict.outcomes}"
    )


def _attempt(name: str, work: Path, fault: Fault, seconds: float) -> Run:
    folder = work / name
    if fault is not full:
        return under_load(folder, fault, seconds=seconds)
    # The provider keeps its log elsewhere: only Lectr runs out of room.
    with small_disk(folder / "data", DISK_MB):
        return under_load(folder, fault, seconds=seconds)


def main(cycles: int, seconds: float) -> int:
    """Run everything; 1 if an invariant broke or a request failed."""
    faults: dict[str, Fault] = {"locked": locked, "deleted": deleted, "replaced": replaced}
    if may_mount():
        faults |= {"read-only": read_only, "full": full}
    else:
        print("read-only, full: left out, they need root and mount")
    bad = False
    with tempfile.TemporaryDirectory(prefix="lectr-faults-") as name:
        work = Path(name)
        began = time.monotonic()
        run = kill_cycles(work / "kill", cycles)
        bad = bool(run.verdict.broken)
        print(_line(f"kill -9 x{cycles}", run, time.monotonic() - began), flush=True)
        for title, fault in faults.items():
            began = time.monotonic()
            try:
                run = _attempt(title, work, fault, seconds)
            except Exception as error:
                bad = True
                print(f"{title:12} FAILED {type(error).__name__}: {str(error)[:1500]}", flush=True)
                continue
            bad = bad or bool(run.verdict.broken or run.failures)
            print(_line(title, run, time.monotonic() - began), flush=True)
        for control, invariant in (("no-spool", "I3"), ("no-conflict", "I6")):
            red = kill_cycles(work / control, 3, control=control).verdict.broken
            bad = bad or invariant not in red
            print(f"control {control}: broken {red} (must name {invariant})", flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60, float(sys.argv[2]) if len(sys.argv) > 2 else 12.0))
