"""The arithmetic of the benchmark: ratios inside a round, the bar's verdicts, the documents made from the results."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.bench import bar, chart, document, large, tables
from tests.bench.measure import Load, Run
from tests.bench.results import RESULTS, Cell, Part, Results, cells_of, keep_part, read_results


def run(target: str, per_second: int, cpu_us: float = 100.0, p50_us: int = 1000) -> Run:
    return Run(target, Load(per_second, 1_000_000, 0, 0, p50_us, 2 * p50_us), cpu_us)


def test_a_ratio_is_the_median_of_the_ratios_inside_the_rounds() -> None:
    rounds = [
        {"lectr": run("lectr", 100), "nginx": run("nginx", 200)},
        {"lectr": run("lectr", 1000), "nginx": run("nginx", 4000)},
        {"lectr": run("lectr", 10), "nginx": run("nginx", 100)},
    ]
    [_, nginx] = cells_of(rounds, 64)
    assert nginx.figures["rate_ratio"] == 0.25
    assert nginx.figures["per_second"] == 200


def test_a_target_that_sat_out_a_round_is_compared_in_the_others() -> None:
    rounds = [{"lectr": run("lectr", 100), "slow": run("slow", 1)}, {"lectr": run("lectr", 900)}]
    figures = {cell.target: cell.figures for cell in cells_of(rounds, 64)}
    assert figures["slow"]["rate_ratio"] == 100


def test_what_a_target_adds_is_counted_from_the_provider_in_the_same_round() -> None:
    rounds = [
        {"direct": run("direct", 1, p50_us=100), "lectr": run("lectr", 1, p50_us=400)},
        {"direct": run("direct", 1, p50_us=5000), "lectr": run("lectr", 1, p50_us=5300)},
    ]
    [_, lectr] = cells_of(rounds, 1)
    assert lectr.figures["added_ms"] == pytest.approx(0.3)


def test_a_part_measured_again_takes_the_place_of_the_first_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    keep_part(path, "json", Part("then", "a", 3, [Cell("lectr", 1, {"cpu_us": 1.0})]), {"cores": "2"})
    keep_part(path, "sse", Part("then", "a", 3, []), {"cores": "2"})
    keep_part(path, "json", Part("now", "b", 3, [Cell("lectr", 1, {"cpu_us": 2.0})]), {"cores": "2"})
    results = read_results(path)
    assert results.figure("json", "lectr", 1, "cpu_us") == 2.0
    assert set(results.parts) == {"json", "sse"}


def verdict(name: str, figure: float) -> bar.Verdict:
    [line] = [line for line in bar.BAR if line.name == name]
    return bar.Verdict(line, figure)


def test_the_bar_is_a_floor_for_rates_and_a_ceiling_for_costs() -> None:
    rate = "requests/s against nginx, 16 at a time"
    assert not verdict(rate, 0.11).met
    assert verdict(rate, 0.12).met
    assert verdict(rate, 0.175).distance == "50% of it"
    memory = "resident memory, idle"
    assert verdict(memory, 120).met
    assert not verdict(memory, 121).met
    assert verdict(memory, 90).distance == "reached"
    assert verdict(memory, 135).distance == "1.5 times it"


def test_a_rate_that_the_cpu_does_not_bear_out_is_told() -> None:
    [line] = [line for line in bar.BAR if line.name == "requests/s against nginx, 16 at a time"]
    assert bar.Verdict(line, 0.3, by_cpu=0.2).result == "met"
    assert "not by CPU" in bar.Verdict(line, 0.3, by_cpu=0.08).result
    assert bar.Verdict(line, 0.08, by_cpu=0.08).result == "**not met**"


def test_what_was_not_measured_is_neither_met_nor_shown_as_a_figure() -> None:
    empty = Results()
    assert not any(each.met for each in bar.verdicts(empty))
    assert "met |" not in tables.bar_section(empty)


def test_a_ledger_of_ten_million_rows_comes_into_the_bar_and_the_page() -> None:
    cells = [
        Cell("console", 10_000_000, {"addresses": 87, "p50_ms": 20.0, "p95_ms": 250.0}),
        Cell("api", 10_000_000, {"addresses": 11, "p50_ms": 3.0, "p95_ms": 60.0}),
        Cell("ledger", 10_000_000, {"bytes_per_row": 165.0}),
    ]
    results = Results(parts={"large": Part("now", "abc1234", 20, cells)})
    [line] = [line for line in tables.bar_section(results).splitlines() if "10,000,000 rows" in line]
    assert "| 250 ms |" in line
    assert "| met |" in line
    page = document.page(results)
    assert "### 10,000,000 rows" in page
    assert "165 bytes per row, indexes, daily sums and all.\n" in page, (
        "a ledger that was there has no time of building"
    )


def test_a_large_measurement_of_fewer_rows_builds_no_larger_ledger_for_advice(tmp_path: Path) -> None:
    assert large.advice_arguments(large.TEN_MILLION, tmp_path) == []
    asked = large.advice_arguments(20_000, tmp_path)
    assert asked == ["--folder", str(tmp_path / "advice"), "--rows", "20000", "--odd-rows", "20000"]
    assert large.advice_arguments(5_000_000, tmp_path)[3:] == ["1000000", "--odd-rows", "100000"]


def test_the_documents_say_what_the_results_hold() -> None:
    if not RESULTS.exists():
        pytest.skip("nothing was measured yet")
    results = read_results(RESULTS)
    anew = "run python -m tests.bench.document"
    assert document.PAGE.read_text() == document.page(results), anew
    assert document.written(document.README) == document.readme_table(results), anew
    for name, content in document.pictures(results).items():
        assert (document.PICTURES / name).read_text() == content, anew


def test_a_chart_is_xml_and_knows_the_dark() -> None:
    drawn = chart.bars("A <title> & more", "note", [("lectr", 4000.0, "4,000/s"), ("litellm", 33.0, "33/s")], "lectr")
    root = ElementTree.fromstring(drawn)
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in drawn
    wide, narrow = (float(bar.get("width") or 0) for bar in root.iter() if bar.get("class", "").startswith("bar"))
    assert wide > narrow > 0


def test_a_panel_places_more_higher_and_later_to_the_right() -> None:
    panel = chart.Panel("p99", "rows", "ms", {"lectr": [(0, 1.0), (1000, 3.0), (1_000_000, 2.0)]})
    root = ElementTree.fromstring(chart.grid("grid", "", [panel], 1, "lectr"))
    places = [
        (float(dot.get("cx") or 0), float(dot.get("cy") or 0))
        for dot in root.iter()
        if dot.get("class", "").startswith("dot")
    ]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[1][1] < places[2][1] < places[0][1]
