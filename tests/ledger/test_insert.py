"""Rows that come again: those the ledger has are found before anything is written."""

from typing import Any

import msgspec
import pytest

from app.domain import Outcome
from app.errors import LedgerError
from app.ledger.clock import id_bytes
from app.ledger.database import Database
from app.ledger.filters import RequestFilter
from app.ledger.insert import known_ids, missing_from
from app.ledger.request_lists import count_requests, get_request
from app.ledger.verify import verify_rollup
from app.ledger.writer import LedgerWriter
from tests.ledger.builders import T0, entry

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]


async def unreadable(_work: Any) -> None:
    raise LedgerError("not now")


async def test_rows_that_the_ledger_has_cost_no_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [entry(T0 + number * 1000) for number in range(20)]
    writer = LedgerWriter(database)
    await writer.write_again(rows[:10])

    async def refused(_work: Any) -> None:
        raise AssertionError("nothing was to be written")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write_once", refused)
        await writer.write_again(rows[:10])
    # Where they cannot be looked for, they are written to be sure.
    with monkeypatch.context() as patch:
        patch.setattr(database, "read", unreadable)
        await writer.write_again(rows)
    assert await count_requests(database, RequestFilter()) == 20
    assert await verify_rollup(database) == []


async def test_a_row_of_an_interrupted_request_is_still_missing(database: Database) -> None:
    whole = entry()
    cut = msgspec.structs.replace(entry(T0 + 5000), outcome=Outcome.INTERRUPTED)
    writer = LedgerWriter(database)
    await writer.write_again([whole, cut])
    assert await known_ids(database, [id_bytes(whole.id), id_bytes(cut.id)]) == {id_bytes(whole.id)}
    ended = msgspec.structs.replace(cut, outcome=Outcome.OK)
    assert await missing_from(database, [whole, ended]) == [ended]
    await writer.write_again([whole, ended])
    assert (await get_request(database, cut.id)).outcome == Outcome.OK
    assert await verify_rollup(database) == []


async def test_a_row_whose_id_is_none_is_not_passed_over(database: Database) -> None:
    odd = entry(id="no id")
    assert await missing_from(database, [odd]) == [odd]
    writer = LedgerWriter(database)
    await writer.write_again([odd, entry()])
    assert writer.counters.parked == 1
    assert await count_requests(database, RequestFilter()) == 1
