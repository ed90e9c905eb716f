"""The section on the team's own traffic says what the engine says, and says when there is nothing to say."""

import json
from pathlib import Path

from tests import canaries
from tests.console.html import parse
from tests.console.stage import Stage, Visit, running


def section(visit: Visit, path: str = "/recommendations") -> str:
    return parse(visit.get(path).text).one("section", aria_labelledby="traffic").text


def test_it_shows_a_card_for_each_advice_with_its_change_and_why_not(admin: Visit) -> None:
    said = section(admin)
    assert "Quality is not measured" in said
    assert "not measured: Lectr sees no content" in said
    assert 'model="gpt-4o-mini" -> model="gpt-6-luna"' in " ".join(said.split())
    assert "cheaper until answers get" in said
    assert "tagged classification" in said
    assert "would have cost" in said
    assert "less (" in said


def test_the_cards_have_the_figures_of_the_api(stage: Stage, admin: Visit) -> None:
    answer = admin.client.get(
        "/api/recommendations?view=traffic", headers={"authorization": f"Bearer {canaries.STAGE_ADMIN}"}
    )
    advised = [card for card in json.loads(answer.text)["recommendations"] if card["advice"]]
    page = parse(admin.get("/recommendations").text)
    cards = page.one("section", aria_labelledby="traffic").all("article")
    assert [card.attributes["id"] for card in cards] == [card["id"] for card in advised]
    shown = [[int(data.attributes["value"]) for data in card.all("data")][:5] for card in cards]
    sums = [card["advice"]["saving"] for card in advised]
    names = ("saved", "candidate", "current", "low", "high")
    assert shown == [[one[name]["picousd"] for name in names] for one in sums]


def test_it_can_be_narrowed_by_the_address(admin: Visit) -> None:
    narrowed = parse(admin.get("/recommendations?feature=search").text)
    titles = [card.one("h3").text for card in narrowed.all("article")]
    assert titles
    assert all(title.startswith("search: ") for title in titles)
    assert any(
        not card.one("h3").text.startswith("search: ")
        for card in parse(admin.get("/recommendations").text).all("article")
    )
    assert "No group fits" in section(admin, "/recommendations?feature=nobody-s")


def test_without_traffic_it_says_so_and_makes_no_number_up(fresh: Stage) -> None:
    said = section(fresh.visit("viewer"))
    assert "No advice yet" in said
    assert "$" not in said


def test_a_decision_is_kept_with_its_reason(tmp_path: Path) -> None:
    with running(tmp_path) as changing:
        admin = changing.visit("admin")
        card = parse(admin.get("/recommendations").text).one("section", aria_labelledby="traffic").all("article")[0]
        sent = {"id": card.attributes["id"], "decision": "accept", "reason": "the labels are the same"}
        answer = admin.submit("/recommendations/decide", sent, page="/recommendations")
        assert answer.status_code in (200, 303)
        said = section(admin)
        assert "accepted: the labels are the same" in said
        assert "not enough data (0 of 50 requests)" in said
        admin.submit("/recommendations/decide", sent | {"decision": "dismiss", "reason": "<b>worse</b>"})
        assert "dismissed: <b>worse</b>" in section(admin)
        admin.submit("/recommendations/decide", sent | {"decision": "sell"})
        assert "dismissed: <b>worse</b>" in section(admin)
        viewer = changing.visit("viewer")
        assert 'action="/recommendations/decide"' not in viewer.get("/recommendations").text


def test_without_the_form_s_token_nothing_is_decided(admin: Visit) -> None:
    fields = {"id": "x", "decision": "accept", "csrf": "wrong"}
    assert admin.client.post("/recommendations/decide", data=fields).status_code == 403
