"""Lists, counts and facets say what a plain loop over all rows would say."""

import random
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain import LedgerEntry, Outcome
from app.errors import NotFoundError
from app.ledger import time_order, value_order
from app.ledger.clock import DAY_US, day_text
from app.ledger.database import Database, open_database
from app.ledger.insert import insert_many
from app.ledger.reports import (
    RequestFilter,
    cost_by_day,
    count_requests,
    facets,
    get_request,
    latency,
    list_requests,
    neighbours,
    stream_requests,
    usage_by,
)
from app.settings import Settings
from tests.ledger.builders import T0, entry, realistic

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]

DAYS = 12
COUNT = 3000
RNG = random.Random(5)
ROWS = [realistic(T0 + number * DAYS * DAY_US // COUNT, RNG) for number in range(COUNT)]
# One value on the first days alone, one on the last alone, and one row by itself.
ROWS += [entry(T0 + number * 100_000_000, feature="early", duration_ms=number) for number in range(300)]
ROWS += [entry(T0 + (DAYS - 1) * DAY_US + number * 1_000_000, feature="late") for number in range(300)]
ROWS += [entry(T0 + 5 * DAY_US, feature="a%_b\\c", cost_picousd=10**13, status=None, key="Ä")]
ROWS += [entry(T0 + 6 * DAY_US, request_model=None, provider=None, outcome=Outcome.REJECTED, status=400)]
ROWS.sort(key=lambda row: row.id)

FILTERS: dict[str, tuple[RequestFilter, Callable[[LedgerEntry], Any]]] = {
    "all": (RequestFilter(), lambda row: True),
    "provider": (RequestFilter(provider="groq"), lambda row: row.provider == "groq"),
    "untagged": (
        RequestFilter(feature="untagged", task="untagged"),
        lambda row: row.feature is None and row.task is None,
    ),
    "early": (RequestFilter(feature="early"), lambda row: row.feature == "early"),
    "late": (RequestFilter(feature="late", key="backend"), lambda row: row.feature == "late"),
    "class": (RequestFilter(status="4xx"), lambda row: row.status is not None and 400 <= row.status < 500),
    "code": (RequestFilter(status="429"), lambda row: row.status == 429),
    "no status": (RequestFilter(status="none"), lambda row: row.status is None),
    "outcome": (RequestFilter(outcome="provider_error"), lambda row: row.outcome == "provider_error"),
    "failed": (
        RequestFilter(failed=True),
        lambda row: row.outcome != "ok" or row.status is None or row.status >= 400,
    ),
    "endpoint": (RequestFilter(endpoint="responses"), lambda row: row.endpoint == "responses"),
    "unpriced": (RequestFilter(priced=False), lambda row: row.billable and row.cost_picousd is None),
    "priced streams": (
        RequestFilter(priced=True, streamed=True),
        lambda row: row.billable and row.cost_picousd is not None and row.streamed,
    ),
    "time": (
        RequestFilter(since_us=T0 + DAY_US // 3, until_us=T0 + 5 * DAY_US + 1000),
        lambda row: T0 + DAY_US // 3 <= row.started_at_us < T0 + 5 * DAY_US + 1000,
    ),
    "an hour": (
        RequestFilter(since_us=T0 + DAY_US, until_us=T0 + DAY_US + 3_600_000_000, model="gpt-4o"),
        lambda row: 0 <= row.started_at_us - T0 - DAY_US < 3_600_000_000 and row.request_model == "gpt-4o",
    ),
    "search": (
        RequestFilter(search="CLAUDE"),
        lambda row: (row.request_model or "").startswith("claude"),
    ),
    "search key": (RequestFilter(search="ci"), lambda row: row.key == "ci"),
    "search specials": (RequestFilter(search="a%_"), lambda row: row.feature == "a%_b\\c"),
    "search backslash": (RequestFilter(search="a%_b\\"), lambda row: row.feature == "a%_b\\c"),
    "nothing": (RequestFilter(search="%"), lambda row: False),
    "none": (RequestFilter(model="gpt"), lambda row: False),
}
VALUES: dict[str, Callable[[LedgerEntry], int]] = {
    "time": lambda row: 0,
    "cost": lambda row: -1 if row.cost_picousd is None else row.cost_picousd,
    "duration": lambda row: row.duration_ms,
}


@pytest.fixture(scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Database]:
    database = await open_database(Settings(data_dir=Path(tmp_path_factory.mktemp("filled"))))
    await insert_many(database, ROWS)
    yield database
    await database.close()


@pytest.fixture(params=["by index", "by window", "by scan"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables would only ever take the first way."""
    if request.param != "by index":
        monkeypatch.setattr(time_order, "FEW", 10)
        monkeypatch.setattr(time_order, "FIRST_DAYS", 2)
        monkeypatch.setattr(value_order, "GROUPS_READ", 30)
        monkeypatch.setattr(value_order, "GROUPS_AT_ONCE", 7)
        monkeypatch.setattr(value_order, "FIRST_ROWS", 5)
    if request.param == "by scan":
        monkeypatch.setattr(time_order, "FEW_IN_WINDOW", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(("sort", "descending"), [("time", True), ("time", False), ("cost", True), ("duration", False)])
async def test_pages_are_the_sorted_rows_cut_up(filled: Database, name: str, sort: str, descending: bool) -> None:
    f, matches = FILTERS[name]
    value = VALUES[sort]
    expected = sorted((row for row in ROWS if matches(row)), key=lambda row: (value(row), row.id), reverse=descending)
    found: list[LedgerEntry] = []
    after = None
    for limit in (1, 7, 97, *[1000] * 5):
        page = await list_requests(filled, f, limit=limit, after=after, sort=sort, descending=descending)
        assert len(page.entries) == min(limit, len(expected) - len(found))
        found += page.entries
        after = page.next
        if after is None:
            break
    assert found == expected


@pytest.mark.parametrize("name", FILTERS)
async def test_counts_streams_and_neighbours_agree_with_the_rows(filled: Database, name: str) -> None:
    f, matches = FILTERS[name]
    expected = [row.id for row in reversed(ROWS) if matches(row)]
    assert await count_requests(filled, f) == len(expected)
    assert await count_requests(filled, f, at_most=3) == min(3, len(expected))
    streamed = [row.id async for rows in stream_requests(filled, f, page=250) for row in rows]
    assert streamed == expected
    for place in {0, len(expected) // 2, len(expected) - 1} if expected else ():
        newer = expected[place - 1] if place else None
        older = expected[place + 1] if place + 1 < len(expected) else None
        assert await neighbours(filled, expected[place], f) == (newer, older)


@pytest.mark.parametrize("name", FILTERS)
async def test_facets_count_what_another_choice_would_give(filled: Database, name: str) -> None:
    f, _ = FILTERS[name]
    if f.since_us is not None:
        f = RequestFilter(since_us=T0 + DAY_US, until_us=T0 + 4 * DAY_US)
    found = await facets(filled, f)
    set_on = {field: value for field in found if (value := getattr(f, field)) is not None}
    for field, values in found.items():
        counts = [count for _, count in values]
        assert counts == sorted(counts, reverse=True)
        for value, count in values[:3]:
            typed: Any = value == "true" if field in ("priced", "streamed") else value
            asked = {**{k: v for k, v in set_on.items() if k != field}, field: typed}
            others = {"outcome": f.outcome, "endpoint": f.endpoint, "search": f.search}
            chosen = msgspec.structs.replace(RequestFilter(since_us=f.since_us, until_us=f.until_us), **asked, **others)
            assert await count_requests(filled, chosen) == count, (field, value)


@pytest.mark.parametrize(
    "f", [RequestFilter(), RequestFilter(provider="openai"), RequestFilter(task="extraction", key="ci")]
)
@pytest.mark.parametrize("by", ["provider", "model", "feature", "task", "key"])
async def test_usage_per_group_is_the_sum_of_its_rows(filled: Database, by: str, f: RequestFilter) -> None:
    report = await usage_by(filled, by, f=f)
    fields = {"model": "request_model"}
    rows = [
        row
        for row in ROWS
        if f.provider in (None, row.provider) and f.task in (None, row.task) and f.key in (None, row.key)
    ]
    sums: dict[str, list[int]] = {}
    for row in rows:
        absent = "untagged" if by in ("feature", "task") else "none"
        into = sums.setdefault(getattr(row, fields.get(by, by)) or absent, [0, 0, 0, 0])
        failed = row.status is None or row.status >= 400 or row.outcome != "ok"
        for index, more in enumerate((1, row.cost_picousd or 0, row.output_tokens or 0, int(failed))):
            into[index] += more
    assert {row.group: [row.requests, row.cost_picousd, row.output_tokens, row.errors] for row in report.rows} == sums
    costs = [row.cost_picousd for row in report.rows]
    assert costs == sorted(costs, reverse=True)
    assert report.total.requests == len(rows)


async def test_usage_counts_whole_days_and_latency_is_near_the_truth(filled: Database) -> None:
    report = await usage_by(filled, "day", since=date(2026, 2, 18), until=date(2026, 2, 20))
    assert [row.group for row in report.rows] == ["2026-02-18", "2026-02-19"]
    inside = [row for row in ROWS if 2 * DAY_US <= row.started_at_us - T0 < 4 * DAY_US]
    assert report.total.requests == len(inside)
    found = await latency(filled, RequestFilter(since_us=T0 + 2 * DAY_US, until_us=T0 + 4 * DAY_US))
    durations = sorted(row.duration_ms for row in inside)
    assert found.requests == len(inside)
    for share, value in ((0.5, found.p50_ms), (0.95, found.p95_ms)):
        truth = durations[int(share * len(durations))]
        assert value is not None
        assert truth / 1.5 <= value <= truth * 1.5
    assert (await latency(filled, RequestFilter(model="nope", key="nope"))).p99_ms is None


async def test_a_whole_id_is_found_at_any_time(filled: Database) -> None:
    wanted = ROWS[17]
    f = RequestFilter(search=wanted.id.upper(), since_us=T0 + 9 * DAY_US)
    assert [row.id for row in (await list_requests(filled, f)).entries] == [wanted.id]
    assert await count_requests(filled, f) == 1
    assert (await list_requests(filled, RequestFilter(search="0" * 32))).entries == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"after": "x"}, "no place in a list"),
        ({"after": "time-desc-0-" + "g" * 32}, "no place in a list"),
        ({"after": "time-desc-99999999999999999999-" + "0" * 32}, "no place in a list"),
        ({"after": "cost-desc-9999999999999999999-" + "0" * 32, "sort": "cost"}, "no place in a list"),
        ({"after": "cost-desc-0-" + "0" * 32}, "another order"),
        ({"after": "time-asc-0-" + "0" * 32}, "another order"),
        ({"sort": "price"}, "time, cost or duration"),
        ({"limit": 0}, "from 1 to 1000"),
        ({"limit": 1001}, "from 1 to 1000"),
    ],
)
async def test_what_cannot_be_asked_is_answered_with_a_sentence(
    filled: Database, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        await list_requests(filled, RequestFilter(), **options)


@pytest.mark.parametrize("status", ["", "abc", "4x", "4040", "²00", "x' OR 1=1", "٤٠٤"])
async def test_a_status_that_is_none_is_refused(filled: Database, status: str) -> None:
    with pytest.raises(ValueError, match="write a code"):
        await list_requests(filled, RequestFilter(status=status))
    with pytest.raises(ValueError, match="write a code"):
        await usage_by(filled, "day", f=RequestFilter(status=status))


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE requests; --', "\0", "\ud800", "%", "_", "\\", "é" * 5000]
)
async def test_no_text_reaches_the_database_as_sql(filled: Database, text: str) -> None:
    for field in ("key", "provider", "model", "feature", "task", "outcome", "endpoint", "search"):
        if field == "search" and text == "\0":
            continue  # nothing is left to search for
        f = msgspec.structs.replace(RequestFilter(), **{field: text})
        assert (await list_requests(filled, f)).entries == []
        assert await count_requests(filled, f) == 0
    assert await count_requests(filled, RequestFilter()) == len(ROWS)


@pytest.mark.parametrize("id", ["", "x", "0" * 32, "ab", "019c6766-db40-7992-a698-54283581f47", "é" * 36])
async def test_an_id_that_is_none_is_not_found(filled: Database, id: str) -> None:
    with pytest.raises(NotFoundError):
        await get_request(filled, id)


async def test_the_cost_of_several_models_by_day_is_that_of_each_alone(filled: Database) -> None:
    since, until = date(1970, 1, 1), date(2100, 1, 1)
    models = [row.group for row in (await usage_by(filled, "model")).rows]
    assert "none" in models, "requests that name no model are one of them"
    found = await cost_by_day(filled, models, since=since, until=until)
    assert list(found) == models
    for model in models:
        wanted = None if model == "none" else model
        costs: dict[str, int] = {}
        for row in ROWS:
            if row.request_model == wanted and row.cost_picousd:
                day = day_text(row.started_at_us // DAY_US)
                costs[day] = costs.get(day, 0) + row.cost_picousd
        assert found[model] == costs
    days = sorted(day for costs in found.values() for day in costs)
    middle = date.fromisoformat(days[len(days) // 2])
    some = await cost_by_day(filled, models[:2], since=middle, until=middle + timedelta(days=1))
    assert {day for costs in some.values() for day in costs} <= {middle.isoformat()}
