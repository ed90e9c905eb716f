"""The same rows in a file and on PostgreSQL: every question gets the same answer, every sum is the same."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain import LedgerEntry, Outcome
from app.ledger.advice_cells import refresh_cells
from app.ledger.advice_reports import read_advice
from app.ledger.calendar_build import rebuild_rollup
from app.ledger.clock import DAY_US
from app.ledger.cost_by_day import cost_by_day
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.ledger.reports import (
    RequestFilter,
    count_requests,
    facets,
    latency,
    list_requests,
    neighbours,
    stream_requests,
    usage_by,
)
from app.ledger.request_lists import SORTS
from app.ledger.team import TeamStore
from app.ledger.usage_report import GROUPINGS
from app.ledger.verify import verify_rollup
from app.settings import Settings
from tests.ledger.builders import DAY0, T0, entry, realistic
from tests.postgres import fresh_url

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
Pair = tuple[Database, Database]
ZONE = "America/New_York"
ROWS = 1500
FILTERS = (
    RequestFilter(),
    RequestFilter(provider="openai"),
    RequestFilter(model="gpt-4o", streamed=True),
    RequestFilter(feature="untagged"),
    RequestFilter(task="none at all"),
    RequestFilter(status="4xx"),
    RequestFilter(status="none"),
    RequestFilter(status="200", priced=False),
    RequestFilter(outcome="client_closed"),
    RequestFilter(search="GPT"),
    RequestFilter(search="%_\\"),
    RequestFilter(search="ÜNÏ"),
    RequestFilter(priced=True, since_us=T0 + DAY_US // 2, until_us=T0 + 3 * DAY_US - 1),
)


def rows() -> list[LedgerEntry]:
    rng = random.Random(15)
    made = [realistic(T0 + rng.randrange(5 * DAY_US), rng) for _ in range(ROWS)]
    odd: list[dict[str, Any]] = [
        {"feature": "%_\\ ünïcode 😀", "task": "ÜNÏ", "key": "Ümlaut"},
        {"status": None, "outcome": Outcome.CLIENT_CLOSED, "cost_picousd": None, "ttfb_ms": None},
        {"cost_picousd": 2**62, "input_tokens": 2**53, "output_tokens": 2**53, "duration_ms": 2**40},
        {"cost_picousd": 2**62, "input_tokens": 2**53, "cache_read_input_tokens": 2**53},
        {"cost_picousd": 0, "input_tokens": 0, "request_model": None, "provider": None},
        {"feature": "nul\0 and \ud800 surrogate", "usage_json": None, "provider_request_id": None},
        {"response_model": None, "service_tier": None, "error_code": "x" * 300, "detected_by": None},
    ]
    return made + [entry(T0 + number * 7_000_000, **changed) for number, changed in enumerate(odd)]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    entries = rows()
    opened = []
    for url in ("", fresh_url()):
        database = await open_database(Settings(data_dir=tmp_path / "data", database_url=url))
        opened.append(database)
        await insert_many(database, entries[: ROWS // 2])
        await TeamStore(database).set("reporting_zone", ZONE)
        # Half of them a second time: those must change nothing.
        await insert_many(database, entries[ROWS // 4 :])
    yield opened[0], opened[1]
    for database in opened:
        await database.close()


async def same(pair: Pair, ask: Callable[[Database], Awaitable[Any]], what: object) -> Any:
    answers = [await ask(database) for database in pair]
    assert answers[0] == answers[1], what
    assert msgspec.json.encode(answers[0]) == msgspec.json.encode(answers[1]), what
    return answers[0]


async def everything(database: Database, f: RequestFilter) -> list[LedgerEntry]:
    return [one async for some in stream_requests(database, f, page=400) for one in some]


async def test_every_question_has_one_answer(pair: Pair) -> None:
    found = await same(pair, lambda database: everything(database, RequestFilter()), "all rows")
    assert len(found) == ROWS + 7
    for f in FILTERS:
        for sort, descending in product(SORTS, (True, False)):
            after: str | None = None
            for _ in range(2):

                async def page(database: Database, after: str | None = after) -> Any:
                    return await list_requests(database, f, limit=40, after=after, sort=sort, descending=descending)  # noqa: B023

                after = (await same(pair, page, (f, sort, descending))).next
                if after is None:
                    break
        await same(pair, lambda database: count_requests(database, f), f)  # noqa: B023
        await same(pair, lambda database: facets(database, f), f)  # noqa: B023
        await same(pair, lambda database: latency(database, f), f)  # noqa: B023
        await same(pair, lambda database: neighbours(database, found[700].id, f), f)  # noqa: B023
        for by, zone in product(GROUPINGS, ("UTC", ZONE)):
            await same(pair, lambda database: usage_by(database, by, zone=zone, f=f), (f, by, zone))  # noqa: B023


async def test_sums_and_advice_are_the_same_and_equal_their_rows(pair: Pair) -> None:
    first, last = DAY0, DAY0 + 5

    async def by_day(database: Database) -> Any:
        span = date(2026, 2, 16), date(2026, 2, 21)
        return await cost_by_day(database, ["gpt-4o", "none"], since=span[0], until=span[1], zone=ZONE)

    await same(pair, by_day, "cost by day")
    for database in pair:
        assert await verify_rollup(database) == []
        await refresh_cells(database, first, last, (1000, 200_000))

    async def advice(database: Database) -> Any:
        def read(reader: Any) -> Any:
            slices = sorted(reader.slices(), key=repr)
            behind = [sorted(reader.usages(part, range(first, last + 1))) for part in slices[:5]]
            sums = (reader.counts().items(), reader.spend_by_day().items())
            return slices, behind, *(sorted(one, key=repr) for one in sums)

        return await read_advice(database, first, last, (1000, 200_000), read)

    slices, behind, *_ = await same(pair, advice, "advice")
    assert slices
    assert any(behind)
    for database in pair:
        await rebuild_rollup(database)
        assert await verify_rollup(database) == []
