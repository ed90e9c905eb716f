"""Threats 12, 13, 42 and 46: what is installed, what is imported, and what the code itself may never do."""

import ast
import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.files import ROOT
from tests.house.test_pins import pins

MAX_DISTRIBUTIONS = 50
FLOORS = {
    "litestar": (2, 25), "multipart": (1, 3, 1), "uvicorn": (0, 54), "httptools": (0, 9), "h11": (0, 16),
    "httpx": (0, 28, 1), "aiohttp": (3, 14, 4), "jinja2": (3, 1, 6), "orjson": (3, 9, 15), "starlette": (1, 0, 1),
    "granian": (2, 7, 4), "httpx2": (2, 12),
}  # fmt: skip
"""The oldest versions without a published fault that would reach us; those not pinned are not installed."""
NEEDED = {"litestar", "multipart", "uvicorn", "httptools", "h11", "httpx", "jinja2"}
KNOWN_PTH = {"lectr.pth", "distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth"}
MODULES = sorted((ROOT / "app").rglob("*.py"))
CHILD_PROCESSES = {
    "app/ledger/migrate.py", "app/ledger/schema.py", "app/ledger/postgres_schema.py", "app/commands/workers.py",
}  # fmt: skip
"""The only modules that may start another process: migrations, and the workers of `lectr serve`."""
PARSERS = {"app/upstream/formats/stream_usage.py"}
"""Here a token is a piece of JSON."""
READ_SQL = {"app/ledger/value_order.py"}
"""Puts SQL together of fixed names and whole numbers; read line by line, every value of a caller is bound."""
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "from_string", "system", "popen", "Markup", "breakpoint"}
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle", "telnetlib", "ftplib", "requests"}
SECRETS = re.compile(r"(?:^|_)(?:token|secret|password|digest|signature|csrf)$")


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def test_t46_no_version_is_below_its_floor() -> None:
    pinned = pins("requirements.txt")
    assert NEEDED - {"h11"} <= pinned.keys()
    low = {name: found for name, found in pinned.items() if name in FLOORS and version(found) < FLOORS[name]}
    assert low == {}


def test_few_distributions_run() -> None:
    assert len(pins("requirements.txt")) <= MAX_DISTRIBUTIONS


def test_t46_only_wheels_are_installed() -> None:
    """A source distribution runs its author's code while it is installed."""
    for file in ("requirements.txt", "requirements-dev.txt"):
        assert "--no-binary" not in (ROOT / file).read_text()
    for file in ("Makefile", "Dockerfile"):
        text = (ROOT / file).read_text()
        installs = [line for line in text.splitlines() if "pip install" in line]
        assert installs
        for line in installs:
            assert "--require-hashes" in line, line
            assert "--only-binary" in line or "PIP_ONLY_BINARY" in text, line


def test_t46_nothing_unknown_runs_at_the_interpreters_start() -> None:
    """A .pth file with an import line is code that runs before any of ours; so came the LiteLLM theft of 2026."""
    found = list(Path(sysconfig.get_path("purelib")).glob("*.pth"))
    running = [path.name for path in found if re.search(r"^import\s", path.read_text(), re.MULTILINE)]
    assert set(running) <= KNOWN_PTH, running


def test_t46_imports_open_no_socket_and_start_no_process() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES if path.stem != "__main__"]
    names = [name.removesuffix(".__init__") for name in names if "migrations" not in name]
    script = (
        "import importlib, sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append((event, str(args)[:200])) if event in "
        "('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'subprocess.Popen', 'os.system', 'os.fork', 'exec.x')"
        " else None)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "import json; print(json.dumps(opened))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == []


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in MODULES:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def called(node: ast.Call) -> str:
    function = node.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def problems(place: str, tree: ast.AST) -> list[str]:
    """What of the list stands in a module."""
    found = []
    for node in ast.walk(tree):
        told = f"{place}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and called(node) in FORBIDDEN_CALLS and not _is_a_methods_compile(node):
            found.append(f"{told} calls {called(node)}")
        if (
            isinstance(node, ast.Call)
            and called(node) in ("text", "exec_driver_sql", "execute")
            and _is_built(node)
            and place not in READ_SQL
        ):
            found.append(f"{told} builds SQL")
        if isinstance(node, ast.Call) and any(keyword.arg == "shell" for keyword in node.keywords):
            found.append(f"{told} uses a shell")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{told} imports {name}" for name in names if name.partition(".")[0] in FORBIDDEN_IMPORTS]
            if "subprocess" in names and place not in CHILD_PROCESSES:
                found.append(f"{told} starts processes")
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            secret = any(SECRETS.search(_name(side)) for side in sides) and place not in PARSERS
            if secret and not any(_is_harmless(side) for side in sides):
                found.append(f"{told} compares a secret with ==")
    return found


def _is_a_methods_compile(node: ast.Call) -> bool:
    """re's and sqlalchemy's; the built-in one makes code."""
    return isinstance(node.func, ast.Attribute) and node.func.attr == "compile"


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_harmless(node: ast.AST) -> bool:
    """A column of the database, a constant: neither can be timed by whoever sends the other side."""
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute | ast.Name)
        and (node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id) == "c"
    )


def _is_built(node: ast.Call) -> bool:
    """Text put together, of anything but names in capitals; a PRAGMA cannot take parameters."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mod | ast.Add):
        return isinstance(first.left, ast.Constant | ast.JoinedStr) and isinstance(
            getattr(first.left, "value", ""), str
        )
    if not isinstance(first, ast.JoinedStr):
        return False
    if str(getattr(first.values[0], "value", "")).startswith("PRAGMA "):
        return False
    values = [piece.value for piece in first.values if isinstance(piece, ast.FormattedValue)]
    return not all(_name(value).isupper() for value in values)


def test_t01_t13_t42_no_module_does_what_none_may() -> None:
    assert [problem for place, tree in trees() for problem in problems(place, tree)] == []


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "exec(x)", "import pickle", "from yaml import load", "a.token == b", "if password != given: pass",
     "connection.execute(f'select {x}')", "sa.text('select ' + x)", "run(x, shell=True)", "import subprocess",
     "environment.from_string(x)", "sa.text('a %s' % x)"],
)  # fmt: skip
def test_t42_what_none_may_do_would_be_seen(code: str) -> None:
    assert problems("app/x.py", ast.parse(code))


def test_t18_templates_never_switch_escaping_off() -> None:
    for path in (ROOT / "app/templates").rglob("*.html"):
        text = path.read_text()
        assert "|safe" not in text.replace(" ", ""), path
        assert "autoescape false" not in text, path
        assert "{% autoescape" not in text, path
