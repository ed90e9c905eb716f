"""docs/threat-model.md lists every threat once, and each test it names exists."""

import ast
import re

from tests.house.files import ROOT

TEXT = (ROOT / "docs/threat-model.md").read_text()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)]


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_all_fifty_threats_are_there_once() -> None:
    threats = TEXT.split("## Faults")[0]
    assert re.findall(r"^\| (\d+) \|", threats, re.MULTILINE) == [str(number) for number in range(1, 51)]


def test_each_threat_names_a_test() -> None:
    assert [row[0] for row in ROWS[:50] if "::" not in row[3]] == []


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 80
    assert [
        f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in functions(path)
    ] == []
