"""A fresh ledger for each test that asks for `settings` or `database`.

Tests marked `any_database`, usually a whole module, run twice, in a file and on a PostgreSQL; those marked
`sqlite_only` are about the file itself, and `any_database(long=True)` meets PostgreSQL in `make test-postgres` alone.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.ledger.database import Database, open_database
from app.settings import Settings
from tests import postgres


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "settings" not in metafunc.fixturenames:
        return
    kinds: list[object] = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
    marked = metafunc.definition.get_closest_marker
    either = marked("any_database")
    both = either is not None and marked("sqlite_only") is None
    if either is not None and either.kwargs.get("long"):
        both = both and postgres.RUNS_ON_IT
    metafunc.parametrize("settings", kinds if both else kinds[:1], indirect=True)


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = postgres.fresh_url() if request.param == "postgresql" else ""
    return Settings(data_dir=tmp_path / "data", database_url=url)


@pytest.fixture
async def database(settings: Settings, anyio_backend: str) -> AsyncIterator[Database]:
    opened = await open_database(settings)
    yield opened
    await opened.close()
