"""docs/threat-model.md lists every threat once, each test it names exists, and each number has a test of its name."""

import ast
import re

import pytest

from tests.house.files import ROOT

TEXT = (ROOT / "docs/threat-model.md").read_text()
THREATS, FAULTS = (
    [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if re.match(r"\| \d+ \|", line)]
    for part in TEXT.split("## Faults")
)
PLACES = ("tests/security", "tests/faults")


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_all_fifty_threats_are_there_once() -> None:
    assert [row[0] for row in THREATS] == [str(number) for number in range(1, 51)]


def test_all_thirty_three_faults_are_there_once() -> None:
    assert [row[0] for row in FAULTS] == [str(number) for number in range(1, 34)]


def test_each_row_says_what_controls_it_and_names_a_test() -> None:
    assert [row[:3] for row in THREATS + FAULTS if "::" not in row[3] or not row[2]] == []


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 120
    assert [
        f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in functions(path)
    ] == []


@pytest.mark.parametrize(
    ("letter", "row"),
    [*(("t", row) for row in THREATS), *(("f", row) for row in FAULTS)],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_each_number_has_a_test_of_its_name(letter: str, row: list[str]) -> None:
    """In tests/security or tests/faults, and named in the row: whoever reads the list finds it, and the other way."""
    number = f"_{letter}{int(row[0]):02d}_"
    named = re.findall(r"`(tests/\w+)/[\w/]+\.py::(test\w+)`", row[3])
    assert [name for place, name in named if place in PLACES and number in name], row[3]


def test_no_test_claims_a_number_that_does_not_name_it() -> None:
    claimed = {
        (f"{path.relative_to(ROOT)}", name)
        for place in PLACES
        for path in (ROOT / place).glob("test_*.py")
        for name in functions(str(path.relative_to(ROOT)))
        if re.match(r"test_[tf]\d\d_", name)
    }
    assert [f"{path}::{name}" for path, name in claimed if f"`{path}::{name}`" not in TEXT] == []
