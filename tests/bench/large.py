"""`make bench-large`: a ledger of 10,000,000 rows. It is built once, in .bench/large."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench.advice import ODD_ROWS, ROWS
from tests.bench.advice import main as advice_bench
from tests.bench.document import write_documents
from tests.bench.machine import describe
from tests.bench.pages_part import ROUNDS, measure_ledger
from tests.bench.peers import BENCH
from tests.bench.rates import Plan
from tests.bench.results import RESULTS, keep_part, part_of, read_results
from tests.bench.writes import writes_part
from tests.conftest import find_tool

TEN_MILLION = 10_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("large", "writes", "advice"))
    parser.add_argument("--rows", type=int, default=TEN_MILLION)
    parser.add_argument("--folder", type=Path, default=BENCH / "large")
    parser.add_argument("--into", type=Path, default=RESULTS)
    asked = parser.parse_args()
    nginx = find_tool("nginx")
    if nginx is None or find_tool("wrk") is None:
        print("bench-large needs nginx and wrk", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = describe(BENCH)
    if asked.only in (None, "large"):
        part = part_of(measure_ledger(asked.folder, asked.rows), ROUNDS)
        keep_part(asked.into, "large", part, machine)
    if asked.only in (None, "writes"):
        with tempfile.TemporaryDirectory(prefix="lectr-bench-writes-") as folder:
            keep_part(asked.into, "writes", writes_part(nginx, Path(folder), Plan()), machine)
    advice = advice_bench(advice_arguments(asked.rows, asked.folder)) if asked.only in (None, "advice") else 0
    if asked.into == RESULTS:
        write_documents(read_results(RESULTS))
    return advice


def advice_arguments(rows: int, folder: Path) -> list[str]:
    """None for the whole measurement; one of fewer rows has a ledger of its own, not larger than itself."""
    if rows >= TEN_MILLION:
        return []
    own = ("--folder", folder / "advice", "--rows", min(rows, ROWS), "--odd-rows", min(rows, ODD_ROWS))
    return list(map(str, own))


if __name__ == "__main__":
    sys.exit(main())
