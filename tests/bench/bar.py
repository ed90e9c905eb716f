"""The bar: what each figure must be, what it should be, and what it is."""

from collections.abc import Callable

import msgspec

from tests.bench.results import Results

STREAMS = 1000
MILLION, TEN_MILLION = 1_000_000, 10_000_000


class Line(msgspec.Struct, frozen=True):
    """One figure of the bar; `most` is True where less is better."""

    name: str
    must: float
    aim: float
    unit: str
    most: bool
    find: Callable[[Results], float | None]
    by_cpu: Callable[[Results], float | None] = lambda _results: None


class Verdict(msgspec.Struct, frozen=True):
    """A line beside what was measured."""

    line: Line
    measured: float | None
    by_cpu: float | None = None

    @property
    def met(self) -> bool:
        return self._holds(self.line.must)

    @property
    def result(self) -> str:
        """Met or not, in words; a rate that the CPU needed does not bear out is told."""
        if self.measured is None:
            return "not measured"
        if self.met and self.by_cpu is not None and self.by_cpu < self.line.must:
            return "met by rate, **not by CPU**"
        return "met" if self.met else "**not met**"

    @property
    def aim_met(self) -> bool:
        return self._holds(self.line.aim)

    @property
    def distance(self) -> str:
        """How far from the aim, in words."""
        if self.measured is None:
            return ""
        if self.aim_met:
            return "reached"
        if self.line.aim == 0:
            return f"{self.measured:g} too many"
        short = self.measured / self.line.aim
        return f"{short:.1f} times it" if self.line.most else f"{short:.0%} of it"

    def _holds(self, limit: float) -> bool:
        if self.measured is None:
            return False
        return self.measured <= limit if self.line.most else self.measured >= limit


def _of(part: str, target: str, at: int, name: str) -> Callable[[Results], float | None]:
    return lambda results: results.figure(part, target, at, name)


def _less_cpu(part: str, target: str, at: int) -> Callable[[Results], float | None]:
    """The same ratio from the CPU that both needed for a request, which other load on the machine hardly moves."""

    def found(results: Results) -> float | None:
        ratio = results.figure(part, target, at, "cpu_ratio")
        return 1 / ratio if ratio else None

    return found


BAR = (
    Line(
        "requests/s against LiteLLM, 64 at a time",
        80,
        200,
        "x",
        False,
        _of("json", "litellm", 64, "rate_ratio"),
        _less_cpu("json", "litellm", 64),
    ),
    Line(
        "requests/s against Portkey, 64 at a time",
        5,
        12,
        "x",
        False,
        _of("json", "portkey", 64, "rate_ratio"),
        _less_cpu("json", "portkey", 64),
    ),
    Line(
        "requests/s against nginx, 16 at a time",
        0.12,
        0.35,
        "x",
        False,
        _of("json", "nginx", 16, "rate_ratio"),
        _less_cpu("json", "nginx", 16),
    ),
    Line(
        "canned 16 KB streams/s against nginx, 64 at a time",
        0.30,
        0.6,
        "x",
        False,
        _of("sse", "nginx", 64, "rate_ratio"),
        _less_cpu("sse", "nginx", 64),
    ),
    Line(
        "CPU per event of 1,000 slow streams against nginx",
        3,
        1.8,
        "x",
        True,
        _of("streams", "nginx", STREAMS, "cpu_ratio"),
    ),
    Line("added to the median, one at a time", 0.8, 0.25, "ms", True, _of("json", "lectr", 1, "added_ms")),
    Line("memory per stream, 1,000 open", 40, 16, "KiB", True, _of("streams", "lectr", STREAMS, "kib")),
    Line("failed of 1,000 open streams", 0, 0, "", True, _of("streams", "lectr", STREAMS, "errors")),
    Line("resident memory, idle", 120, 90, "MiB", True, _of("idle", "lectr", 0, "rss_mib")),
    Line("start to first answer", 2, 0.7, "s", True, _of("idle", "lectr", 0, "start_s")),
    Line("slowest console page, 1,000,000 rows, p95", 100, 40, "ms", True, _of("pages", "console", MILLION, "p95_ms")),
    Line(
        "slowest console page, 10,000,000 rows, p95",
        300,
        80,
        "ms",
        True,
        _of("large", "console", TEN_MILLION, "p95_ms"),
    ),
    Line(
        "ledger, bytes per row with its indexes",
        600,
        400,
        "bytes",
        True,
        _of("pages", "ledger", MILLION, "bytes_per_row"),
    ),
)


def verdicts(results: Results) -> list[Verdict]:
    """Every line of the bar, beside what was measured."""
    return [Verdict(line, line.find(results), line.by_cpu(results)) for line in BAR]
