"""Another process writes thousands of rows a second to the same ledger: does a caller notice?

`python -m tests.bench.writes DATA_DIR ROWS_PER_SECOND SECONDS` is that process; it prints how many it wrote.
"""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median

import msgspec

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from app.demo.traffic import sample_entries
from app.domain import new_request_id
from app.ledger.clock import now_us
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.settings import Settings
from tests.bench.measure import LOAD_CORE, TARGET_CORE, Target, put_load
from tests.bench.providers import json_provider
from tests.bench.rates import Plan
from tests.bench.results import Cell, Part, part_of
from tests.deploy.running import ROOT, free_port, running_lectr

ROWS_PER_SECOND = 5000
MINUTE_S = 60
CONNECTIONS = 16
_BATCHES_PER_SECOND = 10
_TEMPLATES = 5000


async def write(data_dir: Path, per_second: int, seconds: int) -> int:
    """Insert rows at an even pace, in ten transactions a second; returns how many."""
    database = await open_database(Settings(data_dir=data_dir))
    templates = list(islice(sample_entries(load_catalog(REGISTRY_DIR), _TEMPLATES, now_us()), _TEMPLATES))
    size = per_second // _BATCHES_PER_SECOND
    began, written = time.monotonic(), 0
    for number in range(seconds * _BATCHES_PER_SECOND):
        at = now_us()
        some = [
            msgspec.structs.replace(
                templates[(written + each) % _TEMPLATES], id=new_request_id(at), started_at_us=at, finished_at_us=at
            )
            for each in range(size)
        ]
        written += await insert_many(database, some)
        await asyncio.sleep(max(0.0, began + (number + 1) / _BATCHES_PER_SECOND - time.monotonic()))
    await database.close()
    return written


def writes_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """p99 of the proxy for a minute with the other process writing and for a minute without, in turn."""
    upstream, data = free_port(), folder / "lectr" / "data"
    seconds = MINUTE_S if plan.seconds >= 3 else plan.seconds * 5
    with ExitStack() as stack:
        stack.enter_context(json_provider(nginx, folder, upstream))
        lectr = stack.enter_context(running_lectr(data, upstream, cores=TARGET_CORE))
        lectr.create_key("bench")
        target = Target("lectr", lectr.port, lectr.process.pid)

        def p99(*, with_writes: bool) -> tuple[float, float]:
            command = [sys.executable, "-m", "tests.bench.writes", str(data), str(ROWS_PER_SECOND), str(seconds + 2)]
            other = None
            if with_writes:
                # Last in the queue for the load's core: what is asked here is what its writing costs, not its thinking.
                pinned = ["nice", "-n", "19", "taskset", "-c", LOAD_CORE]
                other = subprocess.Popen([*pinned, *command], cwd=ROOT, stdout=subprocess.PIPE)
                time.sleep(2)
            try:
                run = put_load(target, lectr.key, folder, connections=CONNECTIONS, seconds=seconds)
                written = float(other.communicate(timeout=60)[0]) if other else 0.0
            finally:
                if other and other.poll() is None:
                    other.kill()
                    other.wait(5)
            return run.load.p99_us / 1000, written / (seconds + 2)

        put_load(target, lectr.key, folder, connections=CONNECTIONS, seconds=2)
        pairs = [(p99(with_writes=False), p99(with_writes=True)) for _ in range(max(1, plan.rounds - 1))]
    figures = {
        "p99_without_ms": median(without[0] for without, _ in pairs),
        "p99_ms": median(beside[0] for _, beside in pairs),
        "p99_ratio": median(beside[0] / without[0] for without, beside in pairs),
        "rows_per_second": median(beside[1] for _, beside in pairs),
    }
    print(f"  {figures}", flush=True)
    cell = Cell("lectr", ROWS_PER_SECOND, {key: float(f"{value:.4g}") for key, value in figures.items()})
    return part_of([cell], len(pairs), [f"{seconds} s each, {CONNECTIONS} requests at a time."])


if __name__ == "__main__":
    print(asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
