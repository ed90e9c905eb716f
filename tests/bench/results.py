"""What was measured, as it stands in docs/benchmarks/results.json: everything that is shown is made from it."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.measure import Run
from tests.deploy.running import ROOT

RESULTS = ROOT / "docs" / "benchmarks" / "results.json"


class Cell(msgspec.Struct, frozen=True):
    """One target under one load (`at`: connections, streams, bytes, rows, keys): its figures by name."""

    target: str
    at: int
    figures: dict[str, float]


class Part(msgspec.Struct, frozen=True):
    """One part of the benchmark: when, of which commit, in how many rounds and in how long it was measured."""

    measured_at: str
    commit: str
    rounds: int
    cells: list[Cell]
    notes: list[str] = []
    took_s: float = 0.0


class Results(msgspec.Struct):
    """All parts by name, on one machine."""

    machine: dict[str, str] = {}
    parts: dict[str, Part] = {}

    def figure(self, part: str, target: str, at: int, name: str) -> float | None:
        """One figure, or None where it was not measured."""
        if part not in self.parts:
            return None
        for cell in self.parts[part].cells:
            if cell.target == target and cell.at == at:
                return cell.figures.get(name)
        return None

    def loads(self, part: str) -> list[int]:
        """The loads of a part, smallest first."""
        return sorted({cell.at for cell in self.parts[part].cells}) if part in self.parts else []


def read_results(path: Path) -> Results:
    """What a file holds; nothing where there is none yet."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def keep_part(path: Path, name: str, part: Part, machine: dict[str, str]) -> Results:
    """Put a part in the place of the one measured before, the others stay; returns all."""
    results = read_results(path)
    results.machine = machine
    results.parts[name] = part
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return results


def part_of(cells: list[Cell], rounds: int, notes: list[str] | None = None) -> Part:
    """A part measured just now."""
    return Part(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), _commit(), rounds, cells, notes or [])


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"


def _lectr(_name: str) -> str:
    return "lectr"


def cells_of(rounds: list[dict[str, Run]], at: int, *, base_of: Callable[[str], str] = _lectr) -> list[Cell]:
    """The medians of each target over its rounds, and the ratios to its base and to the provider inside one round.

    `rate_ratio` and `cpu_ratio` are the base's over the target's; `added_ms` is what the target adds to the median of
    the provider itself. A target that sat out a round is compared in those in which it ran.
    """
    names = dict.fromkeys(name for each in rounds for name in each)
    cells = []
    for name in names:
        runs = [each[name] for each in rounds if name in each]
        base = base_of(name)
        both = [(each[base], each[name]) for each in rounds if name in each and base in each]
        direct = [(each[name], each["direct"]) for each in rounds if name in each and "direct" in each]
        figures = {
            "per_second": median(run.load.per_second for run in runs),
            "cpu_us": median(run.cpu_us for run in runs),
            "p50_ms": median(run.load.p50_us for run in runs) / 1000,
            "p99_ms": median(run.load.p99_us for run in runs) / 1000,
        }
        if both:
            figures["rate_ratio"] = median(one.load.per_second / other.load.per_second for one, other in both)
            figures["cpu_ratio"] = median(one.cpu_us / other.cpu_us for one, other in both)
        if direct:
            figures["added_ms"] = median(one.load.p50_us - other.load.p50_us for one, other in direct) / 1000
        cells.append(Cell(name, at, {key: _short(value) for key, value in figures.items()}))
    return cells


def _short(value: float) -> float:
    """Four digits that mean something: the rest of a measured figure is noise."""
    return float(f"{value:.4g}")
