"""One Lectr with known rows for everything that only reads, and one with a stand-in behind it for what changes."""

from collections.abc import Iterator

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn
from app.domain import LedgerEntry
from tests.api import traffic
from tests.api.serving import Lectr, serving_lectr, settings_for


@pytest.fixture(scope="session")
def entries() -> list[LedgerEntry]:
    return traffic.rows()


@pytest.fixture(scope="session")
def lectr(tmp_path_factory: pytest.TempPathFactory, entries: list[LedgerEntry]) -> Iterator[Lectr]:
    with serving_lectr(settings_for(tmp_path_factory.mktemp("reading") / "data"), entries) as running:
        yield running


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    with (
        serving(StandIn(pace_s=0.0)) as upstream,
        serving_lectr(settings_for(tmp_path_factory.mktemp("changing") / "data", upstream)) as running,
    ):
        yield running
