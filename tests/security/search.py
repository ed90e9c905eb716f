"""`python -m tests.security.search TARGET SECONDS`: search for bytes that break a target of tests/security/fuzz.py.

With atheris (which follows the coverage of our code) where it is installed, else with hypothesis. Further arguments
are libFuzzer's, such as a folder for its corpus.
"""

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

READ_BY_TARGETS = ["app.upstream", "app.edge", "app.metering", "app.ledger.spool_format", "app.detection"]


def search(checked: Callable[[bytes], None], seconds: float) -> int:
    """Search with hypothesis for so long; returns how many inputs were tried. Raises what the target raises."""
    from hypothesis import HealthCheck, given, settings, target
    from hypothesis import strategies as st

    tried, deadline = 0, time.monotonic() + seconds

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=120))
    def attempt(data: bytes) -> None:
        nonlocal tried
        tried += 1
        if time.monotonic() < deadline:
            checked(data)
            target(float(len(set(data))))

    while time.monotonic() < deadline:
        attempt()
    return tried


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2])
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print(f"{name}: {search(_target(name), seconds):,} inputs of hypothesis, nothing found")
        return
    with atheris.instrument_imports(include=READ_BY_TARGETS):
        checked = _target(name)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=160", "-timeout=20", *sys.argv[3:]], checked)
    atheris.Fuzz()


def _target(name: str) -> Callable[[bytes], None]:
    target: Callable[[bytes], None] = importlib.import_module("tests.security.fuzz").TARGETS[name]
    return target


if __name__ == "__main__":
    main()
