"""A fresh ledger for each test that asks for `database`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.ledger.database import Database, open_database
from app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def database(settings: Settings, anyio_backend: str) -> AsyncIterator[Database]:
    opened = await open_database(settings)
    yield opened
    await opened.close()
