"""Nothing in app/ grows past what one can read in one go. (import-linter says where code goes.)"""

import ast
from pathlib import Path

import pytest

from tests.house.files import ROOT

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50
MODULES = sorted((ROOT / "app").rglob("*.py"))


def long_functions(source: str) -> list[str]:
    """Name and length of each function over the limit."""
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_go(module: Path) -> None:
    source = module.read_text()
    assert len(source.splitlines()) <= MAX_MODULE_LINES
    assert long_functions(source) == []


def test_a_long_function_is_seen() -> None:
    body = "\n".join("    pass" for _ in range(MAX_FUNCTION_LINES))
    assert long_functions(f"def long():\n{body}\n") == [f"long: {MAX_FUNCTION_LINES + 1} lines"]


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_no_module_is_named_after_nothing(name: str) -> None:
    assert [path for path in MODULES if path.stem == name or path.parent.name == name] == []
