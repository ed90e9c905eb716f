"""Writes docs/benchmarks.md, its charts and README's small table, from the results alone.

No figure stands in a text: what is said about one is either made from it or true whatever it is.
`python -m tests.bench.document` writes all of them anew.
"""

from pathlib import Path

from tests.bench import chart, tables
from tests.bench.results import RESULTS, Results, read_results
from tests.bench.tables import AXES, NAMES, names_in, number, table
from tests.deploy.running import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
PICTURES = RESULTS.parent
BEGIN = "<!-- benchmarks: make bench writes what follows -->\n"
END = "<!-- end of benchmarks -->\n"
SHORT_NAMES = {
    "direct": "the provider itself",
    "nginx": "nginx",
    "lectr": "Lectr",
    "naive": "naive proxy",
    "portkey": "Portkey",
    "litellm": "LiteLLM",
}
MEASURES = (("per_second", "requests/s", "1/s"), ("p99_ms", "p99", "ms"), ("rss_mib", "memory", "MiB"))


def page(results: Results) -> str:
    """The whole document."""
    words = tables.wording()
    measured = (
        tables.peers_section,
        tables.streams_section,
        tables.tls_section,
        tables.idle_section,
        tables.growth_section,
        tables.workers_section,
        tables.ledger_section,
    )
    sections = [words["introduction"], tables.where_section(results), "## The bar\n", tables.bar_section(results)]
    sections += [section(results) for section in measured]
    return "\n".join(section for section in [*sections, words["how"]] if section)


def pictures(results: Results) -> dict[str, str]:
    """File names and contents of the charts that can be drawn."""
    drawn = {}
    if "json" in results.parts:
        rows = []
        for name in names_in(results, "json"):
            rate = results.figure("json", name, 64, "per_second") or 1.0
            cpu = results.figure("json", name, 64, "cpu_us")
            rows.append((SHORT_NAMES[name], rate, f"{rate:,.0f}/s, {number(cpu)} us CPU each"))
        note = "Logarithmic. A chat of 1.1 KB each way, 64 at a time; only ratios inside one run mean something."
        drawn["peers.svg"] = chart.bars("Requests a second on one core", note, rows, SHORT_NAMES["lectr"])
    if any(part in results.parts for part, *_ in AXES):
        panels = []
        for key, what, unit in MEASURES:
            for part, label, title in AXES:
                curves = {}
                for name in ("lectr", "nginx"):
                    found = [(at, results.figure(part, name, at, key)) for at in results.loads(part)]
                    points = [(float(at), value) for at, value in found if value is not None]
                    if points and not (key == "rss_mib" and name == "nginx"):
                        curves[name] = points
                panels.append(chart.Panel(f"{title}: {what}", label, unit, curves))
        note = "Green: Lectr. Grey: nginx doing nothing but passing on."
        drawn["growth.svg"] = chart.grid("Cost as work grows", note, panels, len(AXES), "lectr")
    return drawn


def readme_table(results: Results) -> str:
    """README's few lines."""
    rows = []
    for name in ("nginx", "lectr", "portkey", "litellm"):
        rate, cpu = (results.figure("json", name, 64, key) for key in ("per_second", "cpu_us"))
        start, rss = (results.figure("idle", name, 0, key) for key in ("start_s", "rss_mib"))
        rows.append([NAMES[name], number(rate), number(cpu, "us"), number(rss, "MiB"), number(start, "s")])
    head = ["on one core, 64 at a time", "requests/s", "CPU each", "memory, idle", "start"]
    return table(head, rows)


def write_documents(results: Results) -> None:
    """Write the page, the charts and README's table."""
    PICTURES.mkdir(exist_ok=True)
    for name, content in pictures(results).items():
        (PICTURES / name).write_text(content)
    PAGE.write_text(page(results))
    readme = README.read_text()
    if BEGIN in readme:
        before, _, rest = readme.partition(BEGIN)
        README.write_text(before + BEGIN + readme_table(results) + END + rest.partition(END)[2])


def written(path: Path, begin: str = BEGIN, end: str = END) -> str:
    """What stands between the two marks of a document."""
    return path.read_text().partition(begin)[2].partition(end)[0]


if __name__ == "__main__":
    write_documents(read_results(RESULTS))
