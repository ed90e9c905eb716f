"""One furnished Lectr for the tests that only look, and one of its own for each test that changes something."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.stage import Stage, Visit, running


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Forty days of traffic. Nothing may be changed on it."""
    with running(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="session")
def admin(stage: Stage) -> Visit:
    return stage.visit("admin")


@pytest.fixture(scope="session")
def viewer(stage: Stage) -> Visit:
    return stage.visit("viewer")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stage]:
    """A Lectr without traffic and keys, for one test."""
    with running(tmp_path, requests=0) as stage:
        yield stage
