"""Each of the sixteen points that docs/advice.md promises has a test, and that test is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = re.findall(r"^\| (\d+) \| [^|]+ \| `([^`:]+)::(\w+)` \|$", (ROOT / "docs/advice.md").read_text(), re.MULTILINE)


def test_every_point_has_a_check() -> None:
    assert {int(point) for point, _, _ in LINES} == set(range(1, 17))


@pytest.mark.parametrize(("path", "name"), sorted({(path, name) for _, path, name in LINES}))
def test_the_check_is_there_and_asserts_something(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    [found] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(found))
