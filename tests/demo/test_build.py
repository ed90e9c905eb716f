"""The demo's folder and ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.demo.build import build, make_keys
from app.demo.folder import DEFAULT_FOLDER, Plan, claim_folder, demo_folder, is_demo_folder, keep_plan
from app.demo.traffic import KEYS, sample_entries
from app.errors import SettingsError
from app.ledger.database import Database, open_database
from app.ledger.keys import KeyStore
from app.ledger.request_lists import get_request
from app.settings import Settings

NOW_US = 1_795_370_000_000_000
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Path(__file__).resolve().parents[2] / "registry")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(Settings(data_dir=tmp_path))
    yield database
    await database.close()


async def test_rows_stand_in_the_ledger_as_they_were_made(tmp_path: Path, database: Database, catalog: Catalog) -> None:
    told: list[int] = []
    keep_plan(tmp_path, plan := Plan(500, NOW_US))
    assert await build(database, catalog, tmp_path, plan, told.append) == 500
    assert told == [500]
    for entry in list(sample_entries(catalog, 500, NOW_US))[::50]:
        assert await get_request(database, entry.id) == entry


async def test_a_build_that_was_cut_off_goes_on_and_a_complete_one_is_left_alone(
    tmp_path: Path, database: Database, catalog: Catalog
) -> None:
    assert await build(database, catalog, tmp_path, Plan(300, NOW_US)) == 300
    keep_plan(tmp_path, Plan(300, NOW_US))
    unfinished = claim_folder(tmp_path, None, NOW_US + 10**9)
    assert unfinished == Plan(300, NOW_US)
    assert await build(database, catalog, tmp_path, unfinished) == 0
    complete = claim_folder(tmp_path, 300, NOW_US + 10**9)
    assert complete.complete
    assert await build(database, catalog, tmp_path, complete) == 0


async def test_keys_of_the_sample_and_one_for_each_visitor(database: Database) -> None:
    keys = KeyStore(database)
    first, second = await make_keys(keys), await make_keys(keys)
    assert {row.name for row in await keys.list()} == {*KEYS, "visitor", "visitor-2"}
    for secret, name in ((first, "visitor"), (second, "visitor-2")):
        identity = keys.find(secret)
        assert identity is not None
        assert identity.name == name


def test_a_folder_with_a_real_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lectr.db").touch()
    with pytest.raises(SettingsError, match="real requests"):
        claim_folder(tmp_path, None, NOW_US)
    assert not is_demo_folder(tmp_path)


def test_a_claimed_folder_stays_the_demos_when_the_build_never_began(tmp_path: Path) -> None:
    plan = claim_folder(tmp_path / "new", 40, NOW_US)
    (tmp_path / "new" / "lectr.db").touch()
    assert claim_folder(tmp_path / "new", None, NOW_US + 1) == plan == Plan(40, NOW_US)


def test_another_number_of_rows_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    keep_plan(tmp_path, Plan(300, NOW_US, complete=True))
    assert is_demo_folder(tmp_path)
    with pytest.raises(SettingsError, match="300 requests"):
        claim_folder(tmp_path, 301, NOW_US)


def test_a_folder_of_its_own() -> None:
    assert demo_folder({}) == DEFAULT_FOLDER
    assert demo_folder({"LECTR_DATA_DIR": " /tmp/elsewhere "}) == Path("/tmp/elsewhere")
