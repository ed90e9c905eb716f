"""Every fault in its long form, a line each, the controls too: python -m tests.faults [--database URL] [NAME ...].

Exit 1 if anything is lost, doubled, cut, or a control is not seen. Read-only and full disks need root and mount, the
disk's own errors need strace; elsewhere they are left out, and a line says so.
"""

import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.runs import Run
from tests.faults.steps import STEPS, Step


def line(name: str, run: Run, seconds: float) -> str:
    """What a run has shown."""
    verdict, ready = run.verdict, sorted(run.ready_s)
    parts = [
        f"complete {verdict.complete}, forwarded {verdict.forwarded}, rows {verdict.rows}",
        f"broken {', '.join(verdict.broken) or 'none'}",
        f"failures {run.failures}",
        f"lost {run.health['ledger_lost']}, unconfirmed {run.health['ledger_unconfirmed']}",
        f"ready p50/p99 {ready[len(ready) // 2]:.2f}/{run.ready_p99_s:.2f} s",
    ]
    if run.before:
        parts.append(f"rate {run.before:.0f} -> {run.during:.0f}/s ({run.during / run.before:.0%})")
    parts += [f"{key} {value}" for key, value in run.notes.items()]
    return f"{name:24} {'; '.join(parts)} [{seconds:.0f} s]"


def attempt(step: Step, work: Path) -> bool:
    """Run one step and print its line; True if all is as it must be."""
    if step.needs is not None and not step.needs():
        print(f"{step.name:24} left out: {step.needs.__doc__}", flush=True)
        return True
    began = time.monotonic()
    try:
        run = step.run(work / step.name)
    except Exception:
        # A box that cannot even come to rest is as red as one that loses rows.
        seen = step.control
        said = traceback.format_exc().splitlines()[-1][:300]
        print(f"{step.name:24} {'red as it must be' if seen else 'FAILED'}: {said}", flush=True)
        return seen
    wrong = step.wrong(run)
    if step.control:
        good = bool(wrong)
        print(f"{step.name:24} {'red as it must be' if good else 'NOT SEEN'}: {'; '.join(wrong)[:300]}", flush=True)
        return good
    print(line(step.name, run, time.monotonic() - began), flush=True)
    for sentence in wrong:
        print(f"{'':24} WRONG: {sentence}", flush=True)
    return not wrong


def main(names: list[str]) -> int:
    """Run the named steps, or all."""
    database = names.pop(names.index("--database") + 1) if "--database" in names else ""
    names = [name for name in names if name != "--database"]
    steps = [step for step in STEPS(database) if not names or any(step.name.startswith(name) for name in names)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lectr-faults-") as folder:
        bad = [step.name for step in steps if not attempt(step, Path(folder))]
    print(f"{len(steps)} steps in {(time.monotonic() - began) / 60:.1f} minutes; bad: {', '.join(bad) or 'none'}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
