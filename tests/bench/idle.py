"""From start to the first answer, and what an idle process keeps in memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

from tests.bench.measure import TARGET_CORE, cpu_ns, plain_proxy, rss_mib
from tests.bench.peers import Started, running, running_litellm, running_naive, running_portkey
from tests.bench.rates import Plan
from tests.bench.results import Cell, Part, part_of
from tests.deploy.running import free_port, running_lectr

_IDLE_S = 2.0


@contextmanager
def _lectr(folder: Path) -> Iterator[tuple[float, int]]:
    with running_lectr(folder / "lectr" / "data", upstream_port=9, cores=TARGET_CORE) as lectr:
        yield lectr.started_in_s, lectr.process.pid


@contextmanager
def _nginx(nginx: str, folder: Path) -> Iterator[tuple[float, int]]:
    port = free_port()
    (folder / "nginx").mkdir(exist_ok=True)
    configuration = folder / "nginx" / "nginx.conf"
    health = "location = /health { return 200; }"
    block = plain_proxy(port, 9).replace("location / {", f"{health} location / {{")
    configuration.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx/pid; error_log {folder}/nginx/error.log;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off;\n{block}\n}}\n"
    )
    command = [nginx, "-p", str(folder / "nginx"), "-e", str(folder / "nginx" / "error.log"), "-c", str(configuration)]
    with running("nginx", command, port, "/health", folder / "nginx" / "log") as started:
        yield started.started_in_s, started.pid


@contextmanager
def _peer(opened: AbstractContextManager[Started]) -> Iterator[tuple[float, int]]:
    with opened as started:
        yield started.started_in_s, started.pid


def idle_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """Each is started several times, LiteLLM once; the first start of Lectr makes its database and is told apart."""
    ways: dict[str, Callable[[], AbstractContextManager[tuple[float, int]]]] = {
        "lectr": lambda: _lectr(folder),
        "nginx": lambda: _nginx(nginx, folder),
        "naive": lambda: _peer(running_naive(folder, 9)),
        "portkey": lambda: _peer(running_portkey(folder)),
        "litellm": lambda: _peer(running_litellm(folder, 9)),
    }
    cells = []
    for name, started in ways.items():
        found = [_start(started) for _ in range(1 if name == "litellm" else plan.rounds + (name == "lectr"))]
        later = found[1:] if name == "lectr" else found
        figures = {
            "start_s": median(one[0] for one in later),
            "first_start_s": found[0][0],
            "rss_mib": median(one[1] for one in later),
            "cpu_ms_per_s": median(one[2] for one in later),
        }
        cells.append(Cell(name, 0, {key: float(f"{value:.3g}") for key, value in figures.items()}))
        print(f"  {name:<10} {cells[-1].figures}", flush=True)
    return part_of(cells, plan.rounds)


def _start(started: Callable[[], AbstractContextManager[tuple[float, int]]]) -> tuple[float, float, float]:
    """Seconds to the first answer, MiB, and milliseconds of CPU a second while nobody asks for anything."""
    with started() as (started_in_s, pid):
        before = cpu_ns(pid)
        time.sleep(_IDLE_S)
        return started_in_s, rss_mib(pid), (cpu_ns(pid) - before) / 1e6 / _IDLE_S
