"""A ledger moves between SQLite and PostgreSQL, either way, whole or not at all."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain import LedgerEntry
from app.errors import LedgerError
from app.ledger.advice_decisions import Decision, add_decision
from app.ledger.advice_tables import METADATA
from app.ledger.database import Database, open_database
from app.ledger.filters import RequestFilter
from app.ledger.insert import insert_many
from app.ledger.journal import Journal
from app.ledger.keys import KeyStore
from app.ledger.reports import usage_by
from app.ledger.request_lists import count_requests
from app.ledger.sessions import SessionStore
from app.ledger.started import Started
from app.ledger.tables import changes, requests, rollup
from app.ledger.team import TeamStore
from app.ledger.transfer import copy_ledger
from app.ledger.users import UserStore
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from app.settings import Settings
from tests.ledger.builders import T0, entry, realistic
from tests.postgres import fresh_url

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
Open = Callable[[str], Any]
ZONE = "America/New_York"


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a database by its kind; all are closed at the end."""
    databases: list[Database] = []

    async def make(kind: str) -> Database:
        url = fresh_url() if kind == "postgresql" else f"sqlite:///{tmp_path}/{len(databases)}/lectr.db"
        databases.append(await open_database(Settings(data_dir=tmp_path / "data", database_url=url)))
        return databases[-1]

    yield make
    for database in databases:
        await database.close()


async def furnish(database: Database) -> str:
    """Something in every table that people fill; returns a key's secret."""
    rng = random.Random(9)
    await insert_many(database, [realistic(T0 + number * 100_000_000, rng) for number in range(1200)])
    await insert_many(database, [entry(T0, cost_picousd=2**62, input_tokens=2**53) for _ in range(5)])
    secret, _ = await KeyStore(database).create("program", requests_per_minute=7)
    user = await UserStore(database).create("admin", "correct horse battery")
    await SessionStore(database).create(user.id)
    await UserStore(database).create_link("admin")
    team = TeamStore(database)
    await team.set("reporting_zone", ZONE)
    await team.add_override("alias", "openai", "gpt-4o", alias="ours", note="ünï 😀")
    await team.set_price_list(b"\0{}\xff")
    await add_decision(
        database, Decision(recommendation="r", decision="accept", reason="why", decided_at_us=T0, snapshot="{}")
    )
    return secret


def everything(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    tables = [table for table in METADATA.sorted_tables if table is not changes]
    return {
        table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
        for table in tables
    }


@pytest.mark.parametrize(
    ("kinds"),
    [("sqlite", "postgresql", "sqlite"), ("postgresql", "postgresql"), ("sqlite", "sqlite")],
    ids=lambda kinds: "-".join(kinds),
)
async def test_a_ledger_is_the_same_wherever_it_was_moved(opened: Open, kinds: tuple[str, ...]) -> None:
    first: Database = await opened(kinds[0])
    secret = await furnish(first)
    expected = await first.read(everything)
    known = await usage_by(first, "model", zone=ZONE)
    source = first
    for kind in kinds[1:]:
        target: Database = await opened(kind)
        told: dict[str, int] = {}
        copied = await copy_ledger(source, target, told.__setitem__)
        assert copied.rows == told
        assert copied.rows["requests"] == 1205
        assert copied.cost_picousd == known.total.cost_picousd
        assert copied.tokens["input_tokens"] == known.total.input_tokens
        assert await target.read(everything) == expected
        assert await usage_by(target, "model", zone=ZONE) == known
        keys = KeyStore(target)
        await keys.load()
        assert keys.find(secret) is not None
        source = target
    # Ids are counted on, and new requests add to the sums that came along.
    assert (await KeyStore(source).create("another"))[1].id > 1
    await insert_many(source, [entry(T0 + 3)])
    assert await count_requests(source, RequestFilter()) == 1206


async def test_nothing_is_copied_into_a_ledger_that_is_in_use(opened: Open) -> None:
    source, target = await opened("sqlite"), await opened("postgresql")
    await furnish(source)
    await KeyStore(target).create("somebody")
    with pytest.raises(LedgerError, match="table keys has rows"):
        await copy_ledger(source, target)
    assert await count_requests(target, RequestFilter()) == 0
    with pytest.raises(LedgerError, match="into itself"):
        await copy_ledger(source, source)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_copy_that_breaks_off_leaves_nothing(opened: Open, kind: str) -> None:
    source, target = await opened("sqlite"), await opened(kind)
    await furnish(source)

    def stop(table: str, _rows: int) -> None:
        if table == "requests":
            raise LedgerError("the power went")

    with pytest.raises(LedgerError, match="the power went"):
        await copy_ledger(source, target, stop)
    assert await count_requests(target, RequestFilter()) == 0
    assert await KeyStore(target).list() == []
    await copy_ledger(source, target)
    assert await count_requests(target, RequestFilter()) == 1205


async def test_rows_recorded_after_the_copy_come_from_the_spool(opened: Open, tmp_path: Path) -> None:
    async def write(database: Database, first: int, rows: int, replayed: int) -> None:
        def nothing(_started: Started) -> LedgerEntry:
            raise AssertionError("nothing was interrupted")

        writer = LedgerWriter(database, journal=Journal(tmp_path / "spool", database, nothing, tend_s=0.05))
        writer.start()
        for number in range(first, first + rows):
            await writer.hand_over(entry(T0 + number * 1000))
        async with asyncio.timeout(30):
            while writer.counters.written < rows or writer.counters.replayed < replayed:
                await asyncio.sleep(0.02)
        await writer.stop()

    source, target = await opened("sqlite"), await opened("postgresql")
    await write(source, 0, 30, 0)
    await copy_ledger(source, target)
    await write(source, 30, 20, 0)
    await write(target, 50, 10, 50)
    assert await count_requests(target, RequestFilter()) == 60
    assert await verify_rollup(target) == []


async def test_sums_that_were_wrong_before_are_not_taken_for_equal(opened: Open) -> None:
    source, target = await opened("sqlite"), await opened("postgresql")
    await furnish(source)
    await source.write(lambda connection: connection.execute(rollup.update().values(requests=rollup.c.requests + 1)))
    with pytest.raises(LedgerError, match="differ from them"):
        await copy_ledger(source, target)


async def test_a_row_that_changes_on_the_way_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = await opened("sqlite"), await opened("postgresql")
    await furnish(source)
    from app.ledger import transfer

    whole = transfer._send

    def one_token_more(connection: sa.Connection, pipe: Any) -> None:
        put = pipe.put

        def change(kind: str, value: Any) -> None:
            if kind == requests.name:
                at = list(requests.c.keys()).index("output_tokens")
                value = [(*row[:at], (row[at] or 0) + 1, *row[at + 1 :]) for row in value]
            put(kind, value)

        pipe.put = change
        whole(connection, pipe)

    monkeypatch.setattr(transfer, "_send", one_token_more)
    with pytest.raises(LedgerError, match="output_tokens gives"):
        await copy_ledger(source, target)
    assert await count_requests(target, RequestFilter()) == 0
