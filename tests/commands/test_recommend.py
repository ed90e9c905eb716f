"""`lectr recommend` prints what the advice says, in words a person can act on."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands import recommend as recommend_command
from app.commands.cli import lectr
from app.ledger.clock import now_us
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.settings import Settings
from tests.operations.team import a_month


async def _fill(folder: Path) -> None:
    database = await open_database(Settings(data_dir=folder))
    await insert_many(database, a_month(now_us=now_us()))
    await database.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("recommend") / "data"
    asyncio.run(_fill(made))
    return made


def recommend(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(lectr, ["recommend", *arguments], env={"LECTR_DATA_DIR": str(folder)})


def test_it_prints_each_group_its_advice_and_why_not_the_rest(folder: Path) -> None:
    said = recommend(folder, "--since", "40d")
    assert said.exit_code == 0, said.output
    assert "3 groups" in said.output
    assert "Quality: not measured" in said.output
    assert 'model="gpt-4o"  ->  model="gpt-6-luna"' in said.output
    assert "not gpt-4o-mini: " in said.output
    assert "tagged reasoning: never moved to a cheaper model" in said.output
    assert "Models in use that end:" in said.output


def test_it_can_be_narrowed(folder: Path) -> None:
    said = recommend(folder, "--feature", "planner")
    assert "1 groups" in said.output
    assert "gpt-4o" not in said.output
    short = recommend(folder, "--since", "1d", "--model", "gpt-4o")
    assert "not enough data" in short.output
    assert "a month" not in short.output


@pytest.mark.parametrize("since", ["tomorrow", "0d", "-3d", "99999d"])
def test_a_time_it_does_not_know_is_refused_in_words(folder: Path, since: str) -> None:
    said = recommend(folder, "--since", since)
    assert said.exit_code == 2
    assert "write days such as 30d" in said.output


def test_an_empty_ledger_is_said_to_be_empty(tmp_path: Path) -> None:
    said = recommend(tmp_path / "data")
    assert said.exit_code == 0
    assert "No request for text was recorded in these days." in said.output
    assert "$" not in said.output


def test_a_range_whose_ends_read_the_same_is_said_once() -> None:
    assert recommend_command._range(2_310_000_000_001, 2_310_000_000_009) == "$2.31"
    assert recommend_command._range(2_310_000_000_000, 2_320_000_000_000) == "$2.31 to $2.32"
