"""`GET /api/requests`: what a plain loop over the rows finds, every filter finds."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain import LedgerEntry
from app.ledger.clock import DAY_US
from app.ledger.export import timestamp
from tests.api.serving import Lectr
from tests.ledger.builders import T0

Holds = Callable[[LedgerEntry], bool]
MIDNIGHT = datetime.fromtimestamp((T0 + DAY_US) / 1e6, UTC)

FILTERS: dict[str, tuple[dict[str, str], Holds]] = {
    "key": ({"key": "batch"}, lambda row: row.key == "batch"),
    "provider": ({"provider": "anthropic"}, lambda row: row.provider == "anthropic"),
    "model asked for": ({"model": "gpt-4o"}, lambda row: row.request_model == "gpt-4o"),
    "feature": ({"feature": "support-bot"}, lambda row: row.feature == "support-bot"),
    "feature with odd letters": ({"feature": "Überraschung"}, lambda row: row.feature == "Überraschung"),
    "no feature": ({"feature": "untagged"}, lambda row: row.feature is None),
    "task": ({"task": "classification"}, lambda row: row.task == "classification"),
    "no task": ({"task": "untagged"}, lambda row: row.task is None),
    "status": ({"status": "429"}, lambda row: row.status == 429),
    "status class": ({"status": "4xx"}, lambda row: row.status is not None and 400 <= row.status < 500),
    "status class in capitals": ({"status": "5XX"}, lambda row: row.status is not None and row.status >= 500),
    "no status": ({"status": "none"}, lambda row: row.status is None),
    "outcome": ({"outcome": "provider_error"}, lambda row: row.outcome == "provider_error"),
    "since": ({"since": MIDNIGHT.date().isoformat()}, lambda row: row.started_at_us >= T0 + DAY_US),
    "until": ({"until": MIDNIGHT.date().isoformat()}, lambda row: row.started_at_us < T0 + DAY_US),
    "since and until with times": (
        {"since": "2026-02-16T12:30:00Z", "until": "2026-02-18T01:00:00+02:00"},
        lambda row: T0 + 45_000_000_000 <= row.started_at_us < T0 + DAY_US + 82_800_000_000,
    ),
    "several at once": (
        {"provider": "openai", "status": "2xx", "task": "generation", "since": "2026-02-17"},
        lambda row: (
            row.provider == "openai"
            and row.status == 200
            and row.task == "generation"
            and row.started_at_us >= T0 + DAY_US
        ),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_finds_what_a_loop_finds(lectr: Lectr, entries: list[LedgerEntry], name: str) -> None:
    query, holds = FILTERS[name]
    wanted = [row.id for row in entries if holds(row)]
    assert 0 < len(wanted) < len(entries), "this filter must be able to fail"
    assert [row["id"] for row in all_rows(lectr, **query)] == wanted


@pytest.mark.parametrize("query", [{"key": "nobody"}, {"since": "2027-01-01"}, {"until": "2026-02-16"}, {"key": ""}])
def test_what_nobody_matches_is_an_empty_page(lectr: Lectr, query: dict[str, str]) -> None:
    assert lectr.json("/api/requests", **query) == {"requests": [], "next": None}


def test_since_is_inclusive_and_until_exclusive(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    midnight = next(row for row in entries if row.feature == "at midnight")
    before = next(row for row in entries if row.feature == "before midnight")
    at = timestamp(midnight.started_at_us)
    assert at == "2026-02-17T00:00:00.000000Z"
    assert midnight.id in {row["id"] for row in all_rows(lectr, since=at)}
    assert midnight.id not in {row["id"] for row in all_rows(lectr, until=at)}
    assert before.id in {row["id"] for row in all_rows(lectr, until="2026-02-18")}
    assert before.id not in {row["id"] for row in all_rows(lectr, since="2026-02-18")}


def test_an_offset_whose_plus_became_a_space_is_understood(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    found = lectr.admin.get("/api/requests?limit=1000&since=2026-02-19T01:00:00+01:00").json()["requests"]
    assert [row["id"] for row in found] == [row.id for row in entries if row.started_at_us >= T0 + 3 * DAY_US]


@pytest.mark.parametrize("limit", [1, 7, 100, 999, 1000])
def test_paging_visits_every_row_once_newest_first(lectr: Lectr, entries: list[LedgerEntry], limit: int) -> None:
    query: dict[str, Any] = {"provider": "gemini"} if limit < 100 else {}
    wanted = [row.id for row in entries if not query or row.provider == "gemini"]
    pages = list(all_pages(lectr, limit=limit, **query))
    assert [row["id"] for page in pages for row in page] == wanted
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert pages[-1], "an empty page at the end is one request too many"


def test_the_page_has_a_hundred_rows_unless_asked(lectr: Lectr) -> None:
    first = lectr.json("/api/requests")
    assert len(first["requests"]) == 100
    assert first["next"]


def test_rows_that_come_while_somebody_pages_move_nothing(changing: Lectr) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    with changing.program() as program:
        for _ in range(4):
            changing.row(program.post("/v1/chat/completions", json=body))
        first = changing.json("/api/requests", limit=2)
        changing.row(program.post("/v1/chat/completions", json=body))
    second = changing.json("/api/requests", limit=2, after=first["next"])
    assert second["next"] is None
    ids = [row["id"] for row in first["requests"] + second["requests"]]
    assert len(set(ids)) == 4
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1001"},
        {"limit": "many"},
        {"limit": ""},
        {"limit": "0", "format": "csv"},
        {"after": "elsewhere"},
        {"after": ""},
        {"format": "xml"},
        {"status": "4x"},
        {"status": "9xx"},
        {"status": "\u0664\u0660\u0664"},
        {"status": "\u0664\u0660\u0664", "format": "csv"},
        {"status": "ok"},
        {"since": "yesterday"},
        {"since": ""},
        {"since": "20260216"},
        {"since": "2026-W08-1"},
        {"since": "2026-02-30"},
        {"until": "2026-02-16T25:00:00Z"},
        {"until": "1771200000"},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_refused(lectr: Lectr, query: dict[str, str]) -> None:
    answer = lectr.get("/api/requests", **query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"


def test_a_parameter_given_twice_is_refused(lectr: Lectr) -> None:
    answer = lectr.admin.get("/api/requests?key=a&key=b")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("since", ["0001-01-01", "1969-12-31", "0001-01-01T00:00:00%2B23:59"])
def test_the_ends_of_the_calendar_are_days_too(lectr: Lectr, since: str) -> None:
    assert len(lectr.admin.get(f"/api/requests?since={since}&until=9999-12-31").json()["requests"]) == 100


@pytest.mark.parametrize("name", ["%00", "%ff%fe", "'; drop table requests; --", "100%", "_" * 5000])
def test_odd_values_find_nothing_and_break_nothing(lectr: Lectr, name: str) -> None:
    answer = lectr.admin.get(f"/api/requests?key={name}&feature={name}")
    assert (answer.status_code, answer.json()) == (200, {"requests": [], "next": None})


def all_pages(lectr: Lectr, **query: Any) -> Any:
    after: dict[str, str] = {}
    while True:
        page = lectr.json("/api/requests", **query, **after)
        yield page["requests"]
        if page["next"] is None:
            return
        after = {"after": page["next"]}


def all_rows(lectr: Lectr, **query: Any) -> list[dict[str, Any]]:
    return [row for page in all_pages(lectr, limit=1000, **query) for row in page]


@pytest.mark.parametrize("path", ["/api/requests", "/api/requests?format=csv", "/api/usage"])
def test_a_time_that_ends_before_it_begins_is_refused_and_an_empty_one_is_not(lectr: Lectr, path: str) -> None:
    url = f"{path}{'&' if '?' in path else '?'}since=2026-02-18&until="
    refused = lectr.admin.get(url + "2026-02-17")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert refused.json()["error"]["message"].startswith("since is later than until")
    assert lectr.admin.get(url + "2026-02-18").status_code == 200


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/requests?provider=foo", "provider is 'foo'; it may be openai, "),
        ("/api/requests?outcome=foo&format=csv", "outcome is 'foo'; it may be ok, provider_error, "),
        ("/api/requests?limit=x", "limit: write a whole number"),
        ("/api/detect", "model is missing: add ?model=… to the address."),
    ],
)
def test_a_refusal_says_what_to_write_instead(lectr: Lectr, path: str, told: str) -> None:
    answer = lectr.admin.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert answer.json()["error"]["message"].startswith(told)


def test_a_body_of_another_type_is_told_which_to_write(lectr: Lectr) -> None:
    answer = lectr.admin.post("/api/overrides", json=[])
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "body: write a JSON object, {…}")
