"""What-if, the requests behind a figure, and what the page says while there is nothing, or something is wrong."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.console import advice
from app.console.render import templates
from app.errors import LedgerError
from tests import canaries
from tests.console.html import parse
from tests.console.stage import Stage, Visit, running

TOKEN = {"authorization": f"Bearer {canaries.STAGE_ADMIN}"}


def api(visit: Visit, path: str = "", **query: str) -> Any:
    """An answer of the API about the same traffic."""
    asked = {"view": "traffic"} if not path else {}
    answer = visit.client.get(f"/api/recommendations{path}", params=asked | query, headers=TOKEN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def words(text: str) -> str:
    return " ".join(text.split())


def asked(visit: Visit, query: str) -> str:
    return words(parse(visit.get(f"/recommendations?{query}").text).one("section", aria_labelledby="what-if").text)


def test_any_group_can_be_held_against_any_model_of_its_provider(admin: Visit) -> None:
    for view in api(admin)["recommendations"]:
        page = parse(admin.get(f"/recommendations?group={view['group']}").text)
        [chosen] = [
            option for option in page.one("select", name="group").all("option") if "selected" in option.attributes
        ]
        assert chosen.attributes["value"] == view["group"]
        targets = [option.attributes["value"] for option in page.one("select", name="target").all("option")][1:]
        provider = "openai" if view["provider"] == "azure" else view["provider"]
        listed = {model["id"] for model in _models(admin) if model["provider"] == provider}
        assert targets
        assert set(targets) <= listed


def _models(visit: Visit) -> list[dict[str, Any]]:
    return list(visit.client.get("/api/models", headers=TOKEN).json()["models"])


def test_a_what_if_has_the_figures_of_the_api_and_says_a_loss_in_plain_words(admin: Visit) -> None:
    view = next(view for view in api(admin)["recommendations"] if view["provider"] == "openai")
    for target, word in (("gpt-5.5", "more"), ("gpt-6-luna", "less")):
        said = asked(admin, f"group={view['group']}&target={target}")
        found = api(admin, f"/{view['group']}", target=target)["what_if"]["saving"]
        assert f"these {found['requests']:,} requests would have cost" in said
        assert f"{word} ({abs(found['percent'])} %)" in said
        assert ("That is a loss, not a saving." in said) is (word == "more")
        section = parse(admin.get(f"/recommendations?group={view['group']}&target={target}").text)
        values = [
            int(data.attributes["value"]) for data in section.one("section", aria_labelledby="what-if").all("data")
        ]
        assert values[1:3] == [found["candidate"]["picousd"], found["current"]["picousd"]]


def test_the_same_model_would_have_cost_exactly_the_same(admin: Visit) -> None:
    view = next(view for view in api(admin)["recommendations"] if view["provider"] == "anthropic")
    said = asked(admin, f"group={view['group']}&target={quote(view['model'])}")
    assert "would have cost exactly the same" in said


def test_what_cannot_be_compared_is_said(admin: Visit) -> None:
    view = next(view for view in api(admin)["recommendations"] if view["provider"] == "anthropic")
    assert "advice never crosses providers" in asked(admin, f"group={view['group']}&target=gpt-4o")
    assert "has no requests in these days any more" in asked(admin, "group=nobody")
    assert "would have cost" not in asked(admin, f"group={view['group']}")


def test_the_requests_behind_a_card_sum_to_its_saving(admin: Visit) -> None:
    view = max(
        (view for view in api(admin)["recommendations"] if view["advice"]), key=lambda view: int(view["requests"])
    )
    path: str | None = f"/recommendations/{view['id']}"
    seen, links = 0, []
    while path:
        page = parse(admin.get(path).text)
        body = page.one("section", aria_labelledby="rows").all("tbody")
        for line in body[0].all("tr") if body else []:
            now, then = [int(data.attributes["value"]) for data in line.all("data")][-3:-1]
            seen += now - then
            links.append(line.one("a").attributes["href"])
        older = [link for link in page.all("a", class_="button") if link.text == "Older"]
        path = older[0].attributes["href"] if older else None
    assert len(set(links)) == len(links) == view["requests"]
    assert seen == view["advice"]["saving"]["saved"]["picousd"]
    assert admin.get(links[0]).status_code == 200


def test_each_price_behind_a_card_is_named_with_its_rates_and_date(admin: Visit) -> None:
    view = next(view for view in api(admin)["recommendations"] if view["advice"])
    article = parse(admin.get("/recommendations").text).one("article", id=view["id"])
    said = words(article.text)
    for entry in view["advice"]["saving"]["price_entries"]:
        assert entry in said
    assert "per million tokens" in said
    assert "checked 20" in said


def test_a_recommendation_that_is_none_is_a_page_that_says_so(admin: Visit) -> None:
    answer = admin.get("/recommendations/0000")
    assert answer.status_code == 404
    assert "there is no recommendation" in answer.text
    view = next(view for view in api(admin)["recommendations"])
    assert admin.get(f"/recommendations/{view['group']}?after=nowhere").status_code == 303
    assert admin.get(f"/recommendations/{view['group']}?target=nobody-s").status_code == 404


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("broken")) as stage:
        yield stage


def test_while_it_is_being_made_the_page_says_so_and_nothing_waits(own: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "WAIT_S", 0.0)
    visit = own.visit("viewer")
    page = visit.get("/recommendations")
    assert page.status_code == 200
    assert "Adding up your requests" in page.text or "would have been saved" in page.text
    monkeypatch.undo()
    deadline = time.monotonic() + 60
    while "Adding up" in (text := visit.get("/recommendations").text) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "would have cost" in text


@pytest.mark.parametrize(("groups", "said"), [(1, "one change in one group"), (2, "one change in each of 2 groups")])
def test_one_group_is_called_one(groups: int, said: str) -> None:
    assert str(templates().get_template("advice_parts.html").module.changes(groups)) == f"by {said}"  # type: ignore[attr-defined]


def test_an_error_is_an_error_and_never_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise LedgerError("the ledger could not be read: disk I/O error")

    monkeypatch.setattr("app.operations.advice.read_window", fails)
    with running(tmp_path) as stage:
        visit = stage.visit("admin")
        section = parse(visit.get("/recommendations").text).one("section", aria_labelledby="traffic")
        alert = section.one("div", role="alert").text
        assert "The advice could not be made: the ledger could not be read: disk I/O error" in alert
        assert "No advice yet" not in section.text
        assert "$" not in section.text
        answer = visit.client.get("/api/recommendations?view=traffic", headers=TOKEN)
        assert answer.status_code >= 500
        assert answer.json()["error"]["message"]
        assert visit.get("/recommendations/0000").status_code >= 500
