"""`GET /api/usage`: the sums of a plain loop over the rows, to the pico-dollar, by days of the reporting zone."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.domain import LedgerEntry, UsageSource, usd_text
from tests.api.serving import Lectr, serving_lectr, settings_for

ZONE = "Asia/Tokyo"
TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
NUMBERS = (
    "requests",
    "billable_requests",
    "priced_requests",
    "unpriced_requests",
    "estimated_requests",
    "estimated_cost_usd",
    "cost_usd",
    "cost_picousd",
    *TOKENS,
)


def day_in(zone: str) -> Callable[[LedgerEntry], str]:
    return lambda row: datetime.fromtimestamp(row.started_at_us // 1_000_000, ZoneInfo(zone)).date().isoformat()


GROUPS: dict[str, Callable[[LedgerEntry], str]] = {
    "day": day_in("UTC"),
    "model": lambda row: row.request_model or "none",
    "provider": lambda row: row.provider or "none",
    "feature": lambda row: row.feature or "untagged",
    "task": lambda row: row.task or "untagged",
    "key": lambda row: row.key,
}


def sums(rows: list[LedgerEntry]) -> dict[str, Any]:
    """What an answer must say of these rows."""
    billable = [row for row in rows if row.billable]
    priced = [row for row in billable if row.cost_picousd is not None]
    estimated = [row for row in rows if row.usage_source == UsageSource.ESTIMATED]
    cost = sum(row.cost_picousd or 0 for row in rows)
    return {
        "requests": len(rows),
        "billable_requests": len(billable),
        "priced_requests": len(priced),
        "unpriced_requests": len(billable) - len(priced),
        "estimated_requests": len(estimated),
        "estimated_cost_usd": usd_text(sum(row.cost_picousd or 0 for row in estimated)),
        "cost_usd": usd_text(cost),
        "cost_picousd": cost,
        **{name: sum(getattr(row, name) or 0 for row in rows) for name in TOKENS},
    }


def check(answer: dict[str, Any], by: str, rows: list[LedgerEntry], group_of: Callable[[LedgerEntry], str]) -> None:
    groups: dict[str, list[LedgerEntry]] = {}
    for row in rows:
        groups.setdefault(group_of(row), []).append(row)
    answered = {row[by]: {name: row[name] for name in NUMBERS} for row in answer["rows"]}
    assert len(answered) == len(answer["rows"])
    assert answered == {group: sums(members) for group, members in groups.items()}
    assert {name: answer["total"][name] for name in NUMBERS} == sums(rows)
    assert all(next(iter(row)) == by for row in answer["rows"])


@pytest.mark.parametrize("by", GROUPS)
def test_every_grouping_sums_the_rows_exactly(lectr: Lectr, entries: list[LedgerEntry], by: str) -> None:
    check(lectr.json("/api/usage", by=by), by, entries, GROUPS[by])


@pytest.mark.parametrize("by", GROUPS)
@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-02-17", "2026-02-19"), ("2026-02-17", None), (None, "2026-02-17"), ("2026-02-18", "2026-02-18")],
)
def test_since_and_until_count_whole_days(
    lectr: Lectr, entries: list[LedgerEntry], by: str, since: str | None, until: str | None
) -> None:
    chosen = [row for row in entries if (since or "") <= GROUPS["day"](row) < (until or "9999")]
    query = {name: day for name, day in (("since", since), ("until", until)) if day}
    check(lectr.json("/api/usage", by=by, **query), by, chosen, GROUPS[by])


def test_days_come_in_order_and_other_groups_dearest_first(lectr: Lectr) -> None:
    days = [row["day"] for row in lectr.json("/api/usage")["rows"]]
    assert days == sorted(days)
    costs = [row["cost_picousd"] for row in lectr.json("/api/usage", by="feature")["rows"]]
    assert costs == sorted(costs, reverse=True)


def test_the_sum_of_the_exported_rows_is_the_total(lectr: Lectr) -> None:
    rows = lectr.get("/api/requests", format="ndjson").text.splitlines()
    assert (
        sum(json.loads(row)["cost_picousd"] or 0 for row in rows) == lectr.json("/api/usage")["total"]["cost_picousd"]
    )


@pytest.mark.parametrize(
    "query",
    [{"by": "colour"}, {"by": ""}, {"since": "monday"}, {"until": "2026-13-01"}, {"status": "200"}, {"limit": "3"}],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused(lectr: Lectr, query: dict[str, str]) -> None:
    answer = lectr.get("/api/usage", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", [{"until": "0001-01-01"}, {"since": "9999-12-31"}, {"until": "1969-01-01"}], ids=str)
def test_beyond_the_calendar_there_is_nothing(lectr: Lectr, query: dict[str, str]) -> None:
    answer = lectr.json("/api/usage", **query)
    assert (answer["rows"], answer["total"]["requests"]) == ([], 0)


@pytest.fixture(scope="module")
def tokyo(tmp_path_factory: pytest.TempPathFactory, entries: list[LedgerEntry]) -> Iterator[Lectr]:
    """The same rows where the day begins nine hours earlier: a third of them belong to another day than in UTC."""
    settings = settings_for(tmp_path_factory.mktemp("tokyo") / "data")
    with serving_lectr(settings, entries, zone=ZONE) as running:
        yield running


def test_days_are_those_of_the_reporting_zone(tokyo: Lectr, entries: list[LedgerEntry]) -> None:
    answer = tokyo.json("/api/usage", by="day")
    assert answer["zone"] == ZONE
    assert {GROUPS["day"](row) for row in entries} != {row["day"] for row in answer["rows"]}
    check(answer, "day", entries, day_in(ZONE))


@pytest.mark.parametrize("by", ["day", "model", "key"])
def test_bounds_are_whole_days_of_the_zone(tokyo: Lectr, entries: list[LedgerEntry], by: str) -> None:
    chosen = [row for row in entries if "2026-02-17" <= day_in(ZONE)(row) < "2026-02-19"]
    in_utc = [row for row in entries if "2026-02-17" <= GROUPS["day"](row) < "2026-02-19"]
    assert {row.id for row in chosen} != {row.id for row in in_utc}
    group = day_in(ZONE) if by == "day" else GROUPS[by]
    check(tokyo.json("/api/usage", by=by, since="2026-02-17", until="2026-02-19"), by, chosen, group)


def test_a_moment_means_the_day_it_lies_in_there(tokyo: Lectr) -> None:
    moment = datetime(2026, 2, 16, 15, 0, tzinfo=UTC)
    assert moment.astimezone(ZoneInfo(ZONE)).date() == date(2026, 2, 17)
    by_moment = tokyo.json("/api/usage", since="2026-02-16T15:00:00Z")
    assert by_moment == tokyo.json("/api/usage", since="2026-02-17")
    assert by_moment["since"] == "2026-02-17"


def test_the_total_is_the_same_in_every_zone(tokyo: Lectr, lectr: Lectr) -> None:
    assert tokyo.json("/api/usage")["total"] == lectr.json("/api/usage")["total"]
