from decimal import Decimal

import pytest

from app.console import figures
from tests.console.html import Element, parse
from tests.console.stage import Stage, Visit
from tests.console.traffic import HOSTILE


def rows(page: Element) -> list[Element]:
    return [row for row in page.one("tbody", id="rows").all("tr") if row.all("a", class_="row")]


def test_a_row_shows_what_a_request_was_and_cost(stage: Stage, admin: Visit) -> None:
    entry = stage.entries[-1]
    first = rows(parse(admin.get("/requests?range=all").text))[0]
    assert first.one("a", class_="row").attributes["href"] == f"/requests/{entry.id}?range=all"
    cells = [cell.text for cell in first.all("td")]
    assert entry.request_model is not None
    assert cells[1].startswith(entry.request_model)
    assert cells[2] == f"{entry.provider}{entry.detected_by}"
    assert cells[7] == figures.cost(entry.cost_picousd)
    assert cells[9] == "200"


def test_a_request_without_a_price_says_so_in_the_listed_words(admin: Visit) -> None:
    page = parse(admin.get("/requests?range=all&priced=false").text)
    costs = [cell.text for row in rows(page) for cell in row.all("span", class_="unpriced")]
    assert costs
    assert set(costs) == {"$0.00 (pricing unavailable)"}
    titles = {span.attributes["title"] for span in page.all("span", class_="unpriced")}
    assert "No price is listed for this model." in titles


def test_the_sum_says_what_is_not_in_it(stage: Stage, admin: Visit) -> None:
    page = parse(admin.get("/requests?range=all").text)
    total = sum(entry.cost_picousd or 0 for entry in stage.entries)
    unpriced = sum(entry.billable and entry.cost_picousd is None for entry in stage.entries)
    tally = page.one("p", class_="tally").text
    assert f"{len(stage.entries):,} requests" in tally
    assert figures.money(total) in tally
    assert f"{unpriced} of {len(stage.entries):,} have no price: not in this sum" in tally


def test_the_url_is_the_state(stage: Stage, admin: Visit) -> None:
    page = parse(admin.get("/requests?range=all&provider=groq&task=classification&sort=cost&dir=asc&q=open").text)
    assert page.one("input", type="search").attributes["value"] == "open"
    assert {chip.text for chip in page.all("a", class_="chip")} == {
        "Search: open",
        "Provider: groq",
        "Task: classification",
    }
    shown = [cell.attributes["value"] for row in rows(page) for cell in row.all("data")]
    assert [int(value) for value in shown] == sorted(int(value) for value in shown)
    wanted = [e for e in stage.entries if e.provider == "groq" and e.task == "classification"]
    assert f"{len(wanted)} requests" in page.one("p", class_="tally").text
    chip = next(chip for chip in page.all("a", class_="chip") if chip.text.startswith("Provider"))
    assert "provider" not in chip.attributes["href"]
    assert "task=classification" in chip.attributes["href"]


def test_more_is_a_link_that_works_alone_and_a_fragment_of_rows(stage: Stage, admin: Visit) -> None:
    seen: list[str] = []
    path: str | None = "/requests?range=all"
    while path is not None:
        page = parse(admin.get(path).text)
        seen += [row.one("a", class_="row").attributes["data-id"] for row in rows(page)]
        more = page.all("tr", class_="more-row")
        path = more[0].one("a").attributes["href"] if more else None
        if path is not None:
            part = parse(admin.fragment(path).text)
            assert part.all("a", class_="row")
            assert not part.all("thead")
    assert seen == [entry.id for entry in reversed(stage.entries)]


def test_facets_count_what_choosing_them_gives(stage: Stage, admin: Visit) -> None:
    page = parse(admin.get("/requests?range=all").text)
    link = next(link for link in page.one("aside").all("a") if link.attributes["href"].endswith("provider=anthropic"))
    counted = sum(entry.provider == "anthropic" for entry in stage.entries)
    assert link.text == f"anthropic{counted}"
    chosen = parse(admin.get(link.attributes["href"]).text)
    assert f"{counted} requests" in chosen.one("p", class_="tally").text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("range=week", "The range is today, 7d, 30d, 90d or all."),
        ("since=yesterday", "is no day"),
        ("since=2026-11-20&until=2026-11-01", "ends before it begins"),
        ("sort=colour", "Sort by time, cost or duration."),
        ("status=ninety", "write a code such as 404"),
        ("after=garbage", "place in a list"),
        ("priced=maybe", "priced is true or false."),
    ],
)
def test_a_query_that_cannot_be_understood_is_answered_with_a_sentence(admin: Visit, query: str, sentence: str) -> None:
    answer = admin.get(f"/requests?{query}")
    assert answer.status_code == 200
    assert sentence in parse(answer.text).one("p", role="alert").text


def test_a_search_that_finds_nothing_shows_the_way_out(admin: Visit) -> None:
    page = parse(admin.get("/requests?q=zzzz&range=all").text)
    assert "No request fits" in page.text
    assert any(link.attributes["href"] == "/requests?range=all" for link in page.all("a"))


def test_an_exact_id_is_found_at_any_time(stage: Stage, admin: Visit) -> None:
    oldest = stage.entries[0]
    page = parse(admin.get(f"/requests?q={oldest.id}").text)
    assert [row.one("a", class_="row").attributes["data-id"] for row in rows(page)] == [oldest.id]


def test_an_empty_ledger_says_what_to_do_next(fresh: Stage) -> None:
    page = parse(fresh.visit().get("/requests").text)
    assert "No requests yet" in page.text
    assert any(link.attributes["href"] == "/settings#keys" for link in page.all("a"))


def test_hostile_names_are_text_in_page_fragment_and_bill(stage: Stage, admin: Visit) -> None:
    entry = stage.entries[-5]
    for answer in (
        admin.get("/requests?range=all"),
        admin.fragment("/requests?range=all"),
        admin.get(f"/requests/{entry.id}"),
        admin.fragment(f"/requests/{entry.id}"),
        admin.get("/"),
        admin.get("/features?range=all"),
    ):
        assert "<script>alert" not in answer.text
        assert not any("alert" in script.text for script in parse(answer.text).all("script"))
    assert HOSTILE in parse(admin.get(f"/requests/{entry.id}").text).one("h1").text


def test_the_bill_sums_to_the_cost_to_the_last_pico_dollar(stage: Stage, admin: Visit) -> None:
    billed = [e for e in stage.entries if e.cost_picousd and (e.cache_read_input_tokens or 0) > 0][-1]
    page = parse(admin.get(f"/requests/{billed.id}").text)
    table = page.one("section", aria_labelledby="bill-lines").one("table")
    lines = [[cell.text for cell in row.all("td")] for row in table.one("tbody").all("tr")]
    assert [row.one("th").text for row in table.one("tbody").all("tr")] == ["Input", "Cached input, read", "Output"]
    assert billed.cost_picousd is not None
    total = sum(Decimal(line[2].replace("$", "").replace(",", "")) for line in lines)
    assert total * 10**12 == billed.cost_picousd
    assert table.one("tfoot").one("td").text == figures.exact_money(billed.cost_picousd)
    for quantity, rate, amount in lines:
        per_million = Decimal(rate.split(" ")[0].removeprefix("$"))
        expected = Decimal(quantity.replace(",", "")) * per_million / 10**6
        assert Decimal(amount.removeprefix("$").replace(",", "")) == expected


def test_the_bill_names_its_price_entry_and_the_rule_that_found_the_provider(stage: Stage, admin: Visit) -> None:
    billed = next(e for e in reversed(stage.entries) if e.cost_picousd)
    page = parse(admin.get(f"/requests/{billed.id}").text)
    assert billed.price_entry is not None
    assert billed.price_entry in page.text
    assert page.one("li", class_="answer").text.startswith("exact")


def test_previous_and_next_stay_in_the_list_they_came_from(stage: Stage, admin: Visit) -> None:
    listed = [e for e in reversed(stage.entries) if e.provider == "gemini"]
    page = parse(admin.get(f"/requests/{listed[1].id}?range=all&provider=gemini").text)
    newer = next(link for link in page.all("a") if "data-newer" in link.attributes)
    older = next(link for link in page.all("a") if "data-older" in link.attributes)
    assert newer.attributes["href"] == f"/requests/{listed[0].id}?range=all&provider=gemini"
    assert older.attributes["href"] == f"/requests/{listed[2].id}?range=all&provider=gemini"
    back = next(link for link in page.all("a") if "data-close" in link.attributes)
    assert back.attributes["href"] == "/requests?range=all&provider=gemini"


def test_a_request_that_is_none_is_a_404(admin: Visit) -> None:
    for id in ("nope", "0" * 32, "0190a000-0000-7000-8000-000000000000"):
        assert admin.get(f"/requests/{id}").status_code == 404
