"""The fixed table stands as the product words it, and each row says what is true today."""

import csv
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.catalog.schema import Capabilities, Lifecycle
from app.recommendation.table import (
    Comparison,
    TableRow,
    listed_table,
    living_table,
    lost_capabilities,
    status_words,
    task_table,
)
from tests.shared_data import shared_data

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Path(__file__).resolve().parents[2] / "registry")


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> list[TableRow]:
    return listed_table(catalog, TODAY)


def _edges(table: list[TableRow]) -> dict[tuple[str, str], Comparison]:
    return {(row.model, comparison.target): comparison for row in table for comparison in row.comparisons}


def test_the_26_stand_in_the_seed_file_s_order_with_its_downgrades(table: list[TableRow]) -> None:
    with shared_data("seed_models.tsv").open(encoding="utf-8") as file:
        seed = [
            (
                row["provider"],
                row["model"],
                row["downgrade_conservative"] or None,
                row["downgrade_aggressive"] or None,
            )
            for row in csv.DictReader(file, delimiter="\t")
        ]
    assert [(row.provider, row.model, row.conservative, row.aggressive) for row in table] == seed
    assert len(_edges(table)) == 21
    assert sum(row.words == "—" for row in table) == 6


def test_the_words_are_the_product_s(table: list[TableRow]) -> None:
    words = {row.model: row.words for row in table}
    assert words["gpt-4o"] == "Downgrade → gpt-4o-mini"
    assert words["gpt-4o-mini"] == "—"
    assert words["claude-3-opus-20240229"] == (
        "Downgrade → claude-3-5-sonnet-20241022 (conservative) or claude-3-5-haiku-20241022 (aggressive)"
    )
    assert [model for model, shown in words.items() if " or " in shown] == ["claude-3-opus-20240229"]


def _percent(cell: str) -> Decimal | None:
    return None if cell == "-" else Decimal(cell.removesuffix("%"))


def _facts_table() -> dict[tuple[str, str], list[str]]:
    """The Edges table of the facts file: source and target to the other cells."""
    text = (shared_data("seed_models.tsv").parents[1] / "models-and-prices.md").read_text(encoding="utf-8")
    section = text.split("### Edges")[1].split("Count:")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if " → " in line]
    return {tuple(row[0].split(" → ")): row[1:] for row in rows if row[0] != "source → target"}  # type: ignore[misc]


def test_each_row_says_of_prices_status_and_losses_what_the_facts_say(table: list[TableRow]) -> None:
    facts = _facts_table()
    edges = _edges(table)
    assert edges.keys() == facts.keys()
    alive = {row.model: row.source_alive for row in table}
    for edge, (_, into, out, cached, _, source_now, target_now, lost, flag) in facts.items():
        found = edges[edge]
        percents = (found.input_percent, found.output_percent, found.cached_percent)
        assert percents == (_percent(into), _percent(out), _percent(cached)), edge
        assert alive[edge[0]] == (source_now != "retired"), edge
        assert found.target_alive == (target_now != "retired"), edge
        names = [re.sub(r" \S+ → .*", "", name) for name in found.lost]
        expected = [re.sub(r" \S+→.*", "", name) for name in lost.split(", ")] if lost != "none" else []
        assert names == expected, edge
        said = {
            "saves": "saves" in flag,
            "costs_more": "COSTS MORE" in flag,
            "target_retired": "TARGET RETIRED" in flag,
            "capability_lost": "capability lost" in flag,
            "cached_dearer": "cached input dearer" in flag,
            "costs_more_over_threshold": "over 128k" in flag,
        }
        assert set(found.flags) == {name for name, holds in said.items() if holds}, edge


def test_the_counts_are_those_of_the_facts(table: list[TableRow]) -> None:
    """20 save on list price, 1 costs more, 14 point at a retired target; 2 join two living models."""
    edges = _edges(table)
    flags = Counter(flag for comparison in edges.values() for flag in comparison.flags)
    assert (flags["saves"], flags["costs_more"], flags["target_retired"]) == (20, 1, 14)
    alive = {row.model: row.source_alive for row in table}
    assert sorted(edge for edge, found in edges.items() if alive[edge[0]] and found.target_alive) == [
        ("gpt-4.1", "gpt-4.1-mini"),
        ("gpt-4o", "gpt-4o-mini"),
    ]


def test_with_the_clock_moved_a_target_is_gone(catalog: Catalog) -> None:
    edge = ("gpt-4o", "gpt-4o-mini")
    assert "target_retired" not in _edges(listed_table(catalog, date(2027, 1, 13)))[edge].flags
    assert "target_retired" in _edges(listed_table(catalog, date(2027, 1, 14)))[edge].flags


def test_every_living_downgrade_lives_saves_and_stays_with_its_provider(catalog: Catalog) -> None:
    rows = living_table(catalog, TODAY)
    families = {row.model for row in rows}
    assert families >= {
        "gpt-4o", "gpt-4.1", "o3", "gpt-5", "gpt-5.1", "gpt-5.2", "gpt-5.4", "claude-opus-4-5", "claude-opus-5",
        "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.5-flash",
        "openai/gpt-oss-120b", "qwen/qwen3.8-27b",
    }  # fmt: skip
    for row in rows:
        assert row.source_alive, row.model
        assert row.comparisons, row.model
        for found in row.comparisons:
            assert {"saves"} <= set(found.flags), (row.model, found.target)
            assert not {"target_retired", "costs_more", "unpriced", "target_unknown"} & set(found.flags)
            target = catalog.find(found.target, row.provider)
            assert target is not None
            assert target.provider == row.provider


def test_a_model_that_ended_leaves_the_living_table(catalog: Catalog) -> None:
    assert "gemini-2.5-pro" in {row.model for row in living_table(catalog, date(2026, 11, 30))}
    assert "gemini-2.5-pro" not in {row.model for row in living_table(catalog, date(2026, 12, 1))}


@pytest.mark.parametrize(
    ("lifecycle", "words"),
    [
        (Lifecycle(), "alive"),
        (Lifecycle(status="deprecated", ends=date(2026, 11, 23)), "alive until 2026-11-23"),
        (Lifecycle(status="deprecated", ends=TODAY), "retired on 2026-11-22"),
        (Lifecycle(status="retired"), "retired"),
        (Lifecycle(status="unknown"), "unknown"),
    ],
)
def test_a_status_is_said_as_of_the_day(lifecycle: Lifecycle, words: str) -> None:
    assert status_words(lifecycle, TODAY) == words


def test_what_is_not_known_of_the_target_counts_as_lost() -> None:
    source = Capabilities(context_tokens=1000, tools=True, images=False, json_mode=None)
    assert lost_capabilities(source, Capabilities()) == ("tools", "context 1,000 → unknown")
    assert lost_capabilities(source, Capabilities(tools=True, context_tokens=1000)) == ()
    assert lost_capabilities(source, Capabilities(tools=True, context_tokens=999)) == ("context 1,000 → 999",)


def test_the_task_table_is_the_policy_s(catalog: Catalog) -> None:
    levels = {row.task: (row.short, row.long) for row in task_table(catalog)}
    assert levels == {
        "classification": ("aggressive", "aggressive"),
        "extraction": ("aggressive", "moderate"),
        "summarisation": ("moderate", "conservative"),
        "generation": ("conservative", "conservative"),
        "reasoning": ("never", "never"),
        "untagged": ("conservative", "conservative"),
    }
    assert all(row.reason for row in task_table(catalog))
