"""`python -m tests.bench.beside_pages [ROWS]`: what a browser that loads pages costs a program.

It loads them one after the other without a pause, or with `--pause` seconds between them, as a person does.

100 requests a second go through Lectr to a canned provider, alone and then beside that browser, in turns; the ledger
holds ROWS rows (1,000,000 unless said otherwise). Printed are p50, p95 and p99 of a request; exit code 1 where p99
beside pages is more than `--limit` milliseconds over p99 alone.
"""

import argparse
import http.client
import itertools
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.bench.measure import LOAD_CORE, REQUEST, TARGET_CORE, canned_provider
from tests.bench.pages import ROWS, Box, served_demo
from tests.conftest import find_tool
from tests.deploy.running import ROOT, Lectr, free_port, running_lectr, running_nginx

LIMIT_MS = 10.0
TURNS = 3
TURN_S = 12.0
PER_SECOND = 100
CLIENTS = 4


def send(lectr: Lectr, seconds: float) -> list[float]:
    """Milliseconds of each request, a steady stream of them over a few connections."""
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench", "x-lectr-key": lectr.key}
    took: list[float] = []
    begins = time.perf_counter() + 0.1

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", lectr.port, timeout=30)
        for turn in range(int(seconds * PER_SECOND / CLIENTS)):
            due = begins + (turn + number / CLIENTS) * CLIENTS / PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", REQUEST, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append((time.perf_counter() - sent) * 1000)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) >= int(seconds * PER_SECOND / CLIENTS) * CLIENTS
    return took


def browse(url: str, said: str, pause_s: float, begin: Event, end: Event) -> None:
    """Load one page after another while asked to, each `pause_s` after the one before."""
    box = Box(url, said)
    for path in itertools.cycle(box.paths()):
        begin.wait()
        if end.is_set():
            return
        box.load(path, 1)
        time.sleep(pause_s)


@contextmanager
def browser(url: str, said: str, pause_s: float) -> Iterator[Event]:
    """A browser in a process of its own, which loads pages while the event is set."""
    context = multiprocessing.get_context("spawn")
    begin, end = context.Event(), context.Event()
    process = context.Process(target=browse, args=(url, said, pause_s, begin, end))
    process.start()
    try:
        yield begin
    finally:
        end.set()
        begin.set()
        process.join(60)


def quantiles(took: list[float]) -> list[float]:
    ordered = sorted(took)
    return [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--folder", type=Path, help="where the ledger is built and kept; a temporary one otherwise")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two pages")
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="milliseconds")
    asked = parser.parse_args(arguments)
    nginx = find_tool("nginx")
    if nginx is None:
        print("nginx is missing")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        with served_demo(folder, asked.rows):
            pass
        # `lectr serve` refuses a folder of invented rows, and rightly so.
        data = Path(temporary) / "served" / "data"
        data.mkdir(parents=True)
        shutil.copy(folder / "data" / "lectr.db", data)
        port = free_port()
        with (
            running_nginx(nginx, Path(temporary) / "nginx", canned_provider(port), port, cores=LOAD_CORE),
            running_lectr(data, port, cores=TARGET_CORE) as lectr,
        ):
            lectr.create_key(f"bench-{time.time_ns()}")
            alone, beside = measure(lectr, asked.pause)
    print(f"{'':8} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}")
    for name, took in (("alone", alone), ("beside", beside)):
        print(f"{name:8} " + " ".join(f"{value:8.2f}" for value in quantiles(took)) + f"  {len(took)} requests")
    return 1 if quantiles(beside)[2] - quantiles(alone)[2] > asked.limit else 0


def measure(lectr: Lectr, pause_s: float) -> tuple[list[float], list[float]]:
    """Milliseconds of the requests alone and beside pages, in turns."""
    alone: list[float] = []
    beside: list[float] = []
    said = subprocess.run(
        [sys.executable, "-m", "app", "users", "link", "admin"],
        cwd=ROOT,
        env=dict(lectr.environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    send(lectr, 2)
    with browser(f"http://127.0.0.1:{lectr.port}", said, pause_s) as begin:
        for _ in range(TURNS):
            begin.clear()
            time.sleep(0.5)
            alone += send(lectr, TURN_S)
            begin.set()
            beside += send(lectr, TURN_S)
    return alone, beside


if __name__ == "__main__":
    sys.exit(main())
