"""`GET /api/recommendations?view=traffic`, the requests behind a recommendation, accept and dismiss, over HTTP."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from app.domain import LedgerEntry, usd_text
from app.ledger.clock import DAY_US
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.settings import Settings
from tests.api.serving import TOKEN, serving_app, settings_for
from tests.operations.team import NOW_US, a_month, cost, row

PATH = "/api/recommendations"


async def _insert(settings: Settings, rows: Sequence[LedgerEntry]) -> None:
    database = await open_database(settings)
    await insert_many(database, rows)
    await database.close()


@pytest.fixture(scope="module")
def rows() -> list[LedgerEntry]:
    return a_month() + [row(NOW_US - n * DAY_US // 9, "gpt-4o", 300, 10, feature=None, task=None) for n in range(60)]


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory, rows: list[LedgerEntry]) -> Iterator[httpx.Client]:
    settings = settings_for(tmp_path_factory.mktemp("advice") / "data")
    asyncio.run(_insert(settings, rows))
    with serving_app(settings, clock=lambda: NOW_US) as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            yield client


def answered(admin: httpx.Client, path: str = PATH, status: int = 200, **query: Any) -> Any:
    answer = admin.get(path, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def card(admin: httpx.Client, model: str, **query: Any) -> Any:
    found = answered(admin, view="traffic", **query)["recommendations"]
    [one] = [view for view in found if view["model"] == model and view["feature"] is not None]
    return one


def test_the_table_is_still_what_comes_without_a_view(admin: httpx.Client) -> None:
    assert len(answered(admin)["recommendations"]) == 26
    assert answered(admin) == answered(admin, view="table")
    assert "chart" in answered(admin, status=400, view="chart")["error"]["message"]
    answered(admin, status=400, view="table", since="2026-11-01")
    answered(admin, status=400, view="traffic", since="yesterday")


def test_traffic_has_cards_a_headline_and_a_calendar(admin: httpx.Client, rows: list[LedgerEntry]) -> None:
    document = answered(admin, view="traffic")
    assert (document["since"], document["until"]) == ("2026-10-24", "2026-11-22")
    ranked = [view for view in document["recommendations"] if view["ranked"]]
    saved = sum(view["advice"]["saving"]["saved"]["picousd"] for view in ranked)
    assert document["headline"]["saved"] == {"picousd": saved, "usd": usd_text(saved)}
    own = [entry for entry in rows if entry.request_model == "gpt-4o" and entry.task is not None]
    sums = card(admin, "gpt-4o")["advice"]["saving"]
    assert sums["recorded"]["picousd"] == sums["current"]["picousd"] == sum(entry.cost_picousd or 0 for entry in own)
    parts = [(e.input_tokens or 0, e.cache_read_input_tokens or 0, 0, e.output_tokens or 0) for e in own]
    assert sums["candidate"]["picousd"] == sum(cost("gpt-6-luna", *part) for part in parts)
    assert sums["low"]["picousd"] < sums["saved"]["picousd"] < sums["high"]["picousd"]
    [ending] = [ending for ending in document["calendar"] if ending["model"] == "gpt-4o"]
    assert (ending["ends"], ending["over"], ending["replacement"]) == ("2027-01-14", False, "gpt-6-luna")


def test_a_card_says_all_that_is_needed_to_decide(admin: httpx.Client) -> None:
    view = card(admin, "gpt-4o")
    assert view["quality"] == "not measured"
    assert view["tag_source"] == "header"
    assert (view["requests"], view["days"], view["coverage"]) == (800, 20, "1.0000")
    assert view["confidence"] == "medium"
    assert view["change"] == 'model="gpt-4o"  ->  model="gpt-6-luna"'
    assert view["retirement"]["replacement"] == "gpt-6-luna"
    assert float(view["advice"]["saving"]["break_even_factor"]) > 1
    assert any("gpt-6-luna" in entry for entry in view["advice"]["saving"]["price_entries"])
    assert {other["model"] for other in view["why_not"]} >= {"gpt-4o-mini"}
    assert all(other["why_not"] for other in view["why_not"])
    monthly = view["advice"]["saving"]["saved"]["picousd"] * 30 // 20
    assert view["saved_per_month"]["picousd"] == monthly


def test_filters_and_days_narrow_it(admin: httpx.Client) -> None:
    planner = answered(admin, view="traffic", feature="planner")
    assert [view["advice"] for view in planner["recommendations"]] == [None]
    assert "reasoning" in planner["recommendations"][0]["reason"]
    assert planner["headline"]["saved"]["picousd"] == 0
    untagged = answered(admin, view="traffic", task="untagged")["recommendations"]
    assert [view["tag_source"] for view in untagged] == ["heuristics"]
    two_days = card(admin, "gpt-4o", since="2026-11-21")
    assert two_days["not_enough_data"] == ["2 of 3 days"]
    assert two_days["saved_per_month"] is None
    assert answered(admin, view="traffic", model="gpt-nothing")["recommendations"] == []


def test_the_requests_behind_a_card_come_page_by_page_and_sum_up(admin: httpx.Client) -> None:
    view = card(admin, "claude-haiku-4-5")
    seen: dict[str, int] = {}
    after: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 300} | ({} if after is None else {"after": after})
        page = answered(admin, f"{PATH}/{view['id']}", **query)
        seen |= {one["id"]: one["difference"]["picousd"] for one in page["requests"]}
        after = page["next"]
        if after is None:
            break
    assert len(seen) == view["requests"] == 800
    assert sum(seen.values()) == view["advice"]["saving"]["saved"]["picousd"]
    answered(admin, f"{PATH}/{view['id']}", status=400, after="nowhere")
    answered(admin, f"{PATH}/{view['id']}", status=400, limit=0)
    answered(admin, f"{PATH}/0000", status=404)


def test_any_other_target_can_be_asked_about(admin: httpx.Client) -> None:
    view = card(admin, "claude-haiku-4-5")
    asked = answered(admin, f"{PATH}/{view['id']}", target="claude-opus-4-5")["what_if"]
    assert asked["saving"]["percent"] == -400
    assert "it would have cost more" in asked["notes"]
    crossing = answered(admin, f"{PATH}/{view['id']}", status=404, target="gpt-4o")
    assert "never crosses providers" in crossing["error"]["message"]


def test_accept_and_dismiss_are_kept_with_their_reason(admin: httpx.Client) -> None:
    path = f"{PATH}/{card(admin, 'gpt-4o')['id']}"
    accepted = admin.post(f"{path}/accept", json={"reason": "labels are the same"})
    assert accepted.status_code == 200, accepted.text
    decision = accepted.json()["recommendation"]["decision"]
    assert (decision["decision"], decision["reason"], decision["target"]) == (
        "accept",
        "labels are the same",
        "gpt-6-luna",
    )
    assert decision["realised"]["verdict"] == "not enough data (0 of 50 requests)"
    assert decision["realised"]["saved"] is None
    dismissed = admin.post(f"{path}/dismiss", json={"reason": "worse"})
    assert dismissed.json()["recommendation"]["decision"]["realised"] is None
    assert card(admin, "gpt-4o")["decision"]["decision"] == "dismiss"


def test_what_cannot_be_decided_is_refused(admin: httpx.Client) -> None:
    planner = card(admin, "claude-opus-4-5")["id"]
    assert admin.post(f"{PATH}/{planner}/accept", json={}).status_code == 409
    assert admin.post(f"{PATH}/0000/accept", json={}).status_code == 404
    known = f"{PATH}/{card(admin, 'gpt-4o')['id']}"
    assert admin.post(f"{known}/accept", json={"why": "x"}).status_code == 400
    assert admin.post(f"{known}/accept", json={"reason": "x" * 501}).status_code == 400
    assert httpx.post(f"{admin.base_url}{known}/accept", json={}).status_code == 401


def test_an_empty_ledger_has_nothing_to_say(tmp_path: Any) -> None:
    with serving_app(settings_for(tmp_path / "data")) as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        document = httpx.get(f"{url}{PATH}?view=traffic", headers=headers).json()
    assert document["recommendations"] == document["calendar"] == document["accepted_and_gone"] == []
    assert document["headline"]["saved"] == {"picousd": 0, "usd": "0"}
