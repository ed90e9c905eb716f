"""`make bench`: everything that docs/benchmarks.md shows, measured on this machine. Needs two cores.

Each part can be measured alone (`--only json,tls`); it then takes the place of what was measured of it before.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.bench import growth, idle, pages_part, rates, streams, workers
from tests.bench.document import write_documents
from tests.bench.machine import describe
from tests.bench.peers import BENCH, install
from tests.bench.rates import Plan
from tests.bench.results import RESULTS, Part, keep_part, read_results
from tests.conftest import DEBIAN_PACKAGES, find_tool

PARTS: dict[str, Callable[[str, Path, Plan], Part]] = {
    "idle": idle.idle_part,
    "json": rates.json_part,
    "sse": rates.sse_part,
    "few-streams": streams.few_streams_part,
    "streams": streams.streams_part,
    "tls": rates.tls_part,
    "connections": growth.connections_part,
    "body": growth.body_part,
    "ledger": growth.ledger_part,
    "keys": growth.keys_part,
    "workers": workers.workers_part,
    "pages": pages_part.pages_part,
}
FIRST = -15
TOOLS = ("nginx", "wrk", "taskset", "cc", "openssl", "node", "npm")


def main() -> int:
    asked = _arguments()
    if (os.cpu_count() or 1) < 2:
        print("bench needs two cores: one for the load, one for what is measured", file=sys.stderr)
        return 1
    missing = [DEBIAN_PACKAGES.get(name, name) for name in TOOLS if find_tool(name) is None]
    if missing:
        print(f"bench needs {', '.join(missing)}", file=sys.stderr)
        return 1
    # What was started has to end with this process, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # What is measured goes before whatever else the machine does, where we may say so.
    with contextlib.suppress(OSError):
        os.nice(FIRST - os.nice(0))
        # Linux weighs sessions against each other before it weighs the processes in them.
        Path("/proc/self/autogroup").write_text(str(FIRST))
    install()
    machine = describe(BENCH)
    for name in asked.only:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"lectr-bench-{name}-") as folder:
            part = PARTS[name](str(find_tool("nginx")), Path(folder), Plan(asked.rounds, asked.seconds))
        took_s = round(time.monotonic() - began)
        keep_part(asked.into, name, msgspec.structs.replace(part, took_s=took_s), machine)
        print(f"== {name} took {took_s} s", flush=True)
    if asked.into == RESULTS:
        write_documents(read_results(RESULTS))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of each part")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each run")
    parser.add_argument(
        "--into", type=Path, default=RESULTS, help="another file of results: then no document is written"
    )
    return parser.parse_args()


def _parts(words: str) -> list[str]:
    named = [word for word in words.split(",") if word]
    if unknown := [word for word in named if word not in PARTS]:
        raise argparse.ArgumentTypeError(f"no part is called {', '.join(unknown)}")
    return named


if __name__ == "__main__":
    sys.exit(main())
