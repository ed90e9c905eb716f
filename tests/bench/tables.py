"""The sections of docs/benchmarks.md: each a table of one part, with the words that wording.md has for it."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench import bar
from tests.bench.results import Results

NOT_MEASURED = "–"
ORDER = ("direct", "nginx", "nginx, buffering", "lectr", "naive", "portkey", "litellm")
NAMES = {
    "direct": "the provider itself",
    "nginx": "nginx proxy_pass",
    "nginx, buffering": "nginx, buffering",
    "nginx, TLS": "nginx, TLS to the provider",
    "lectr": "**Lectr**",
    "lectr, TLS": "**Lectr**, TLS to the provider",
    "naive": "naive (Litestar + httpx.AsyncClient)",
    "portkey": "Portkey",
    "litellm": "LiteLLM",
}
AXES = (
    ("connections", "connections at once", "Connections"),
    ("body", "bytes of the request", "Body size"),
    ("ledger", "rows in the ledger", "Ledger size"),
    ("keys", "keys in use", "Keys"),
)


def wording() -> dict[str, str]:
    """The texts of wording.md by the names that stand above them. No figures are in them."""
    parts = re.split(r"^<!-- (\w+) -->\n", Path(__file__).with_name("wording.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float | None, unit: str = "") -> str:
    """A measured figure with as many digits as it is worth."""
    if value is None:
        return NOT_MEASURED
    digits = 0 if abs(value) >= 100 or value == 0 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return _with_unit(f"{value:,.{digits}f}", unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit not in ("", "x") else f"{text}{unit}"


def where_section(results: Results) -> str:
    if not results.parts:
        return ""
    days = sorted({part.measured_at[:10] for part in results.parts.values()})
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    minutes = sum(part.took_s for part in results.parts.values()) / 60
    lines.append(f"- measured: {' and '.join(days)}, in {minutes:.0f} minutes; each table says of which commit")
    return "\n".join(lines) + "\n"


def bar_section(results: Results) -> str:
    rows = []
    for verdict in bar.verdicts(results):
        line = verdict.line
        sign = "at most" if line.most else "at least"
        rows.append(
            [
                line.name,
                number(verdict.measured, line.unit),
                number(verdict.by_cpu, line.unit) if verdict.by_cpu is not None else "",
                f"{sign} {_with_unit(f'{line.must:g}', line.unit)}" if line.must else "0",
                verdict.result,
                _with_unit(f"{line.aim:g}", line.unit),
                verdict.distance,
            ]
        )
    return table(["figure", "measured", "by CPU", "must", "result", "aim", "distance to the aim"], rows)


def _measured(results: Results, part: str) -> str:
    found = results.parts[part]
    notes = "".join(f" {note}" for note in found.notes)
    rounds = "1 round" if found.rounds == 1 else f"{found.rounds} rounds"
    return f"{found.measured_at}, commit {found.commit}, {rounds}.{notes}\n"


def names_in(results: Results, part: str) -> list[str]:
    present = {cell.target for cell in results.parts[part].cells}
    return [name for name in ORDER if name in present]


def peers_section(results: Results) -> str:
    if "json" not in results.parts:
        return ""
    rows = []
    for at in results.loads("json"):
        for name in names_in(results, "json"):
            figures = [
                number(results.figure("json", name, at, key))
                for key in ("per_second", "cpu_us", "p50_ms", "p99_ms", "added_ms", "rate_ratio", "cpu_ratio")
            ]
            rows.append([f"{at}", NAMES[name], *figures])
    head = [
        "at once",
        "",
        "requests/s",
        "CPU us each",
        "p50 ms",
        "p99 ms",
        "added to the median, ms",
        "Lectr's rate to it",
        "its CPU to it",
    ]
    return "\n".join(
        [
            "## A short chat, beside the others\n",
            "![Requests a second on one core, 64 at a time](benchmarks/peers.svg)\n",
            _measured(results, "json"),
            table(head, rows),
        ]
    )


def streams_section(results: Results) -> str:
    said = []
    if "sse" in results.parts:
        rows = [
            [
                NAMES[name],
                *(
                    number(results.figure("sse", name, 64, key))
                    for key in ("per_second", "cpu_us", "p50_ms", "rate_ratio")
                ),
            ]
            for name in names_in(results, "sse")
        ]
        said += ["### 16 KB of events as fast as they come, 64 at a time\n", _measured(results, "sse")]
        said.append(table(["", "streams/s", "CPU us each", "p50 ms", "Lectr's rate to it"], rows))
    keys = ("cpu_us", "cpu_ratio", "p50_ms", "p99_ms", "kib", "errors")
    parts = [part for part in ("few-streams", "streams") if part in results.parts]
    rows = [
        [f"{at:,}", NAMES[name], *(number(results.figure(part, name, at, key)) for key in keys)]
        for part in parts
        for at in results.loads(part)
        for name in names_in(results, part)
    ]
    if rows:
        head = [
            "streams",
            "",
            "CPU us per event",
            "Lectr's CPU to it",
            "delay p50 ms",
            "p99 ms",
            "KiB per stream",
            "not opened or cut off",
        ]
        said += ["### Slow streams, all open at once\n", *(_measured(results, part) for part in parts)]
        said.append(table(head, rows))
    return "\n".join(["## Streams\n", *said]) if said else ""


def tls_section(results: Results) -> str:
    """Lectr and nginx, with and without TLS to the provider."""
    if "tls" not in results.parts:
        return ""
    keys = ("per_second", "cpu_us", "p50_ms", "p99_ms", "rate_ratio")
    rows = [
        [NAMES[name], *(number(results.figure("tls", name, 64, key)) for key in keys)]
        for name in ("nginx", "nginx, TLS", "lectr", "lectr, TLS")
    ]
    head = ["", "requests/s", "CPU us each", "p50 ms", "p99 ms", "Lectr's rate to it, TLS to TLS"]
    return "\n".join(["## TLS to the provider, 64 at a time\n", _measured(results, "tls"), table(head, rows)])


def idle_section(results: Results) -> str:
    if "idle" not in results.parts:
        return ""
    keys = ("start_s", "rss_mib", "cpu_ms_per_s")
    rows = [
        [NAMES[name], *(number(results.figure("idle", name, 0, key)) for key in keys)]
        for name in names_in(results, "idle")
    ]
    first = number(results.figure("idle", "lectr", 0, "first_start_s"), "s")
    head = ["", "start to first answer, s", "resident memory, MiB", "CPU while idle, ms a second"]
    said = f"Lectr's very first start, which makes its database, takes {first}.\n"
    return "\n".join(["## Start and memory\n", _measured(results, "idle"), table(head, rows), said])


def growth_section(results: Results) -> str:
    said = ["## Cost as work grows\n", "![Requests a second, p99 and memory as work grows](benchmarks/growth.svg)\n"]
    for part, label, title in AXES:
        if part not in results.parts:
            continue
        rows = []
        for at in results.loads(part):
            row = [
                f"{at:,}",
                *(
                    number(results.figure(part, "lectr", at, key))
                    for key in ("per_second", "cpu_us", "p50_ms", "p99_ms", "rss_mib")
                ),
            ]
            beside = [number(results.figure(part, "nginx", at, key)) for key in ("per_second", "p99_ms")]
            rows.append([*row, *beside] if part in ("connections", "body") else row)
        head = [label, "requests/s", "CPU us each", "p50 ms", "p99 ms", "memory MiB"]
        if part in ("connections", "body"):
            head += ["nginx requests/s", "p99 ms"]
        said += [f"### {title}\n", _measured(results, part), table(head, rows), wording()[part]]
    return "\n".join(said) if len(said) > 2 else ""


def workers_section(results: Results) -> str:
    if "workers" not in results.parts:
        return ""
    rows = [
        [
            kind,
            f"{at}",
            *(
                number(results.figure("workers", kind, at, key))
                for key in ("per_second", "cpu_us", "p99_ms", "rows", "busy")
            ),
        ]
        for kind, at in (("json", 1), ("json", 2), ("sse", 1), ("sse", 2))
    ]
    head = ["64 at a time", "workers", "requests/s", "CPU us each", "p99 ms", "requests = rows", "file found busy"]
    said = "The load and the provider run on the same two cores, so two workers cannot reach twice one's rate here.\n"
    where = "When to use two: [deploy.md](deploy.md#more-than-one-worker).\n"
    return "\n".join(
        ["## Two workers, one SQLite file\n", _measured(results, "workers"), said, table(head, rows), where]
    )


def ledger_section(results: Results) -> str:
    said = []
    for part in ("pages", "large"):
        for at in results.loads(part):
            rows = [
                [name, *(number(results.figure(part, name, at, key)) for key in ("addresses", "p50_ms", "p95_ms"))]
                for name in ("console", "api")
            ]
            size = number(results.figure(part, "ledger", at, "bytes_per_row"))
            built = results.figure(part, "ledger", at, "build_s")
            in_time = f"; built in {number(built, 's')}" if built is not None else ""
            said += [
                f"### {at:,} rows\n",
                _measured(results, part),
                table(["", "addresses", "median of their p50, ms", "slowest p95, ms"], rows),
                f"{size} bytes per row, indexes, daily sums and all{in_time}.\n",
            ]
    if "writes" in results.parts:
        keys = ("rows_per_second", "p99_ms", "p99_without_ms", "p99_ratio")
        row = [number(results.figure("writes", "lectr", 5000, key)) for key in keys]
        head = ["rows/s written beside", "p99 ms", "p99 ms without", "ratio"]
        said += ["### Another process writes to the same ledger\n", _measured(results, "writes"), table(head, [row])]
    return "\n".join(["## The console, the API and a large ledger\n", *said]) if said else ""
