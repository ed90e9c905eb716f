"""`python -m tests.bench.pages [ROWS]`: how fast each page of the console is on a large ledger.

Builds the demo's ledger of that many rows (1,000,000 unless said otherwise), signs in, and loads every page, filter,
sort and search one after another as a browser does, gzip and all. A table of p50 and p95 per address goes to stdout;
the exit code is 1 where a p95 is over `--limit` milliseconds (300 on recommendations) or the build took longer than
three minutes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import msgspec

from tests.deploy.running import ROOT, free_port, port_is_open, stop

ROWS = 1_000_000
LIMIT_MS = 100.0
OWN_LIMITS_MS = {"/recommendations": 300.0}
"""Pages with a bar of their own."""
BUILD_LIMIT_S = 180.0
ROUNDS = 40
_LINK = re.compile(r"(/sign-in/link/\S+)")
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_ID = re.compile(r'data-id="([^"]+)"')
_MORE = re.compile(r'<tr class="more-row"><td[^>]*><a[^>]*href="([^"]+)"')

PAGES = (
    *("/", "/?range=7d", "/?range=90d"),
    *("/requests", "/requests?range=today", "/requests?range=30d", "/requests?range=90d", "/requests?range=all"),
    *("/models", "/models?q=gpt&alive=alive&sort=spend&dir=desc", "/models/gpt-4o-mini", "/recommendations"),
    *("/detect", "/detect?model=openai/gpt-oss-120b", "/features", "/features?range=all", "/settings"),
)
FILTERS = (
    *("provider=openai", "model={model}", "feature={feature}", "feature=untagged", "task={task}", "key={key}"),
    *("status=4xx", "status=429", "priced=false", "priced=true", "streamed=true", "outcome=provider_error"),
    *("provider=openai&feature=untagged", "provider=anthropic&status=5xx", "model={model}&feature={feature}"),
    *("key={key}&task={task}&streamed=false", "q=c", "q=cla", "q=gpt", "q=zzzz", "q={id}", "q={feature}"),
)
SORTS = (
    *("sort=cost", "sort=cost&dir=asc", "sort=duration", "sort=duration&dir=asc", "sort=time&dir=asc"),
    *("sort=cost&provider=openai", "sort=duration&q=cla", "sort=cost&status=4xx", "sort=cost&priced=true&dir=asc"),
    *("sort=cost&model={model}&feature={feature}", "sort=duration&dir=asc&feature=untagged"),
)


class Timed(msgspec.Struct, frozen=True):
    """One address and how long it took, in milliseconds, sorted; `bytes` is what went over the wire once."""

    path: str
    times_ms: list[float]
    bytes: int

    def quantile(self, share: float) -> float:
        return self.times_ms[min(len(self.times_ms) - 1, int(share * len(self.times_ms)))]


class Box:
    """A served ledger with a visitor signed in; `said` holds the sign-in link that it printed."""

    def __init__(self, url: str, said: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=60, headers={"accept": "text/html", "origin": url})
        link = _LINK.search(said)
        assert link, "no sign-in link was printed"
        token = _CSRF.search(self.client.get(link[1]).text)
        assert token
        assert self.client.post(link[1], data={"csrf": token[1]}).status_code == 303

    def paths(self) -> list[str]:
        """Every page, and the list of requests with each filter and sort, for 7 days and for all days."""
        names = {name: self._most_frequent(name) for name in ("model", "feature", "task", "key")}
        rows = self.client.get("/requests?range=all").text
        ids = _ID.findall(rows)
        lists = [
            f"/requests?range={span}&{query.format(**names, id=ids[7])}"
            for span in ("7d", "all")
            for query in (*FILTERS, *SORTS)
        ]
        more = [_next_page(self.client, path) for path in ("/requests?range=all", "/requests?range=all&sort=cost")]
        bill = [f"/requests/{ids[3]}?range=all", f"/requests/{ids[3]}?range=all&provider=openai&q=gpt"]
        return [*PAGES, *lists, *more, *bill]

    def _most_frequent(self, facet: str) -> str:
        text = self.client.get("/requests?range=all").text
        links = re.findall(rf'href="[^"]*[?&;]{facet}=([^"&]+)"', text)
        assert links, f"no facet {facet}"
        return str(links[0])

    def load(self, path: str, rounds: int) -> Timed:
        """Load an address again and again; the first time is not counted."""
        size, times = 0, []
        for number in range(rounds + 1):
            began = time.perf_counter()
            with self.client.stream("GET", path) as answer:
                size = sum(len(chunk) for chunk in answer.iter_raw())
            took = (time.perf_counter() - began) * 1000
            assert answer.status_code == 200, (path, answer.status_code)
            if number:
                times.append(took)
        return Timed(path, sorted(times), size)


def _next_page(client: httpx.Client, path: str) -> str:
    found = _MORE.search(client.get(path).text)
    assert found, f"{path} has one page only"
    return found[1].replace("&amp;", "&")


@contextmanager
def served_demo(folder: Path, rows: int) -> Iterator[tuple[Box, float]]:
    """A demo of `rows` rows in `folder`, built where it is not there yet; yields it and the seconds until it served."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "log"
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    command = [sys.executable, "-m", "app", "demo", "--rows", str(rows), "--port", str(port)]
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**kept, "PYTHONUNBUFFERED": "1", "LECTR_DATA_DIR": str(folder / "data")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        while not (port_is_open(port) and _LINK.search(log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"lectr demo ended with {process.returncode}:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        took = time.monotonic() - began
        box = Box(f"http://127.0.0.1:{port}", log.read_text())
        with closing(box.client):
            yield box, took
    finally:
        stop(process)


def measure(box: Box, rounds: int, only: str = "") -> list[Timed]:
    """Every address in turn, slowest last."""
    timed = [box.load(path, rounds) for path in box.paths() if only in path]
    return sorted(timed, key=lambda one: one.quantile(0.95))


def limit_ms(path: str, usual: float = LIMIT_MS) -> float:
    """How long a page may take: its own bar, if it has one that is higher."""
    return max(usual, OWN_LIMITS_MS.get(path.partition("?")[0], 0.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS)
    parser.add_argument("--folder", type=Path, help="where the ledger is built and kept; a temporary one otherwise")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--limit", type=float, default=LIMIT_MS, help="milliseconds")
    parser.add_argument("--only", default="", help="only addresses with this text in them")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        with served_demo(folder, asked.rows) as (box, took):
            print(f"{asked.rows:,} rows served after {took:.0f} s")
            timed = measure(box, asked.rounds, asked.only)
    print(f"{'p50 ms':>8} {'p95 ms':>8} {'KB':>6}")
    for one in timed:
        print(f"{one.quantile(0.5):8.1f} {one.quantile(0.95):8.1f} {one.bytes / 1000:6.1f}  {one.path}")
    slow = [one.path for one in timed if one.quantile(0.95) > limit_ms(one.path, asked.limit)]
    print(f"{len(timed)} addresses, {len(slow)} of them over {asked.limit:.0f} ms at p95, or over their own bar")
    return 1 if slow or took > BUILD_LIMIT_S else 0


if __name__ == "__main__":
    sys.exit(main())
