"""One process or two on both cores, with one SQLite file between them."""

import threading
from contextlib import ExitStack
from pathlib import Path

from tests.bench.measure import REQUEST, STREAM_REQUEST, Run, Target, alternate, check_rows, put_load
from tests.bench.peers import calm_down
from tests.bench.providers import json_provider, sse_provider
from tests.bench.rates import BUSY, Plan
from tests.bench.results import Cell, Part, cells_of, part_of
from tests.deploy.running import Lectr, free_port, running_lectr

NUMBERS = (1, 2)
BUSY_WORDS = ("locked", "SQLITE_BUSY", "busy")


def workers_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """One and two workers, not tied to a core: the load and the provider share both cores with them.

    While they serve, keys are made by another process and the ledger is read through the admin API: both write to or
    read from the same file. Raises RuntimeError where any process has seen the file busy or a row is missing.
    """
    cells: list[Cell] = []
    for kind, provider, body in (("json", json_provider, REQUEST), ("sse", sse_provider, STREAM_REQUEST)):
        upstream = free_port()
        with ExitStack() as stack:
            stack.enter_context(provider(nginx, folder / kind, upstream))
            lectrs = {}
            for number in NUMBERS:
                where = folder / kind / str(number) / "data"
                lectrs[f"{kind} {number}"] = stack.enter_context(
                    running_lectr(where, upstream, cores="0,1", LECTR_WORKERS=str(number))
                )
            for lectr in lectrs.values():
                lectr.create_key("bench")
            targets = [Target(name, lectr.port, lectr.process.pid) for name, lectr in lectrs.items()]
            rounds = _rounds(targets, lectrs, folder, body, plan)
        for lectr in lectrs.values():
            _refuse_busy(lectr)
        for cell in cells_of(rounds, 0, base_of=lambda name: f"{name.split()[0]} 1"):
            number = int(cell.target.split()[1])
            rows = sum(each[cell.target].load.requests for each in rounds)
            cells.append(Cell(kind, number, {**cell.figures, "rows": rows, "busy": 0}))
            print(f"  {kind} {number} workers {cells[-1].figures}", flush=True)
    return part_of(cells, plan.rounds)


def _rounds(
    targets: list[Target], lectrs: dict[str, Lectr], folder: Path, body: bytes, plan: Plan
) -> list[dict[str, Run]]:
    made = 0

    def run(target: Target, seconds: int) -> Run:
        nonlocal made
        lectr = lectrs[target.name]
        before = lectr.rows()
        stop = threading.Event()
        disturber = threading.Thread(target=_disturb, args=(lectr, stop))
        disturber.start()
        try:
            measured = put_load(target, lectr.key, folder, connections=BUSY, seconds=seconds, body=body)
        finally:
            stop.set()
            disturber.join()
        made += 1
        lectr.create_key(f"made-after-{made}")
        check_rows(lectr, before, measured.load, BUSY)
        calm_down(target.pid)
        return measured

    for target in targets:
        run(target, 1)
    return list(alternate(targets, plan.rounds, lambda target: run(target, plan.seconds)))


def _disturb(lectr: Lectr, stop: threading.Event) -> None:
    """Read the ledger as a console does, while it is written."""
    while not stop.wait(0.5):
        lectr.admin("/api/requests?limit=100")


def _refuse_busy(lectr: Lectr) -> None:
    log = lectr.log.read_text()
    if seen := [line for line in log.splitlines() if any(word in line for word in BUSY_WORDS)]:
        raise RuntimeError(f"the file was busy {len(seen)} times: {seen[0]}")
