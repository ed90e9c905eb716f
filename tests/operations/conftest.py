"""A fresh ledger, the shipped registry and the advice engine on both, at a clock that stands."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog, CatalogHolder
from app.catalog.load import load_catalog
from app.domain import LedgerEntry
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.operations.advice import AdviceEngine
from app.operations.advice_desk import AdviceDesk
from app.settings import Settings
from tests.operations.team import NOW_US
from tests.postgres import database_url

Desk = Callable[[Sequence[LedgerEntry]], Awaitable[AdviceDesk]]


class Clock:
    """UTC microseconds that a test sets."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture(scope="package")
def shipped() -> Catalog:
    return load_catalog(Path(__file__).resolve().parents[2] / "registry")


@pytest.fixture
async def database(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Database]:
    folder = tmp_path / "data"
    opened = await open_database(Settings(data_dir=folder, database_url=database_url(folder)))
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk_with(database: Database, shipped: Catalog, clock: Clock) -> Desk:
    """Fills the ledger and gives a desk on it."""

    async def make(rows: Sequence[LedgerEntry]) -> AdviceDesk:
        await insert_many(database, rows)
        holder = CatalogHolder(shipped)
        return AdviceDesk(AdviceEngine(database, holder, clock), database, holder, clock)

    return make
