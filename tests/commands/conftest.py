"""A stand-in for all providers, and one server for the commands that work beside one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn
from tests.commands.cli import ROOT, Box, Server


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    with serving(StandIn(pace_s=0.0)) as address:
        yield address


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Box:
    """A machine on which nothing has run yet."""
    return Box(tmp_path_factory.mktemp("box"), upstream)


@pytest.fixture(scope="session")
def served_box(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Box:
    return Box(tmp_path_factory.mktemp("served"), upstream)


@pytest.fixture(scope="session")
def server(served_box: Box) -> Iterator[Server]:
    with served_box.serve() as running:
        yield running


@pytest.fixture(scope="session")
def broken_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program whose registry has a fault."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("app", "registry"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    models = tree / "registry" / "models" / "openai.toml"
    models.write_text(models.read_text() + '\n[[model]]\nid = "gpt-4o"\ncolour = "blue"\n')
    return tree
