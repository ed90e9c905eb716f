import csv
import io

import pytest

from tests.console.html import parse
from tests.console.stage import Visit
from tests.console.traffic import HOSTILE


def test_one_name_shows_provider_rules_and_price(admin: Visit) -> None:
    page = parse(admin.get("/detect?model=openai/gpt-oss-120b").text)
    assert [span.text for span in page.one("h2", class_="verdict").all("span")] == [
        "openai/gpt-oss-120b",
        "groq",
        "rule exact",
    ]
    assert [step.one("b").text for step in page.one("ol").all("li")] == ["header", "key_default", "exact"]
    assert "genai-prices:groq/openai/gpt-oss-120b@always" in page.text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("grok-4", "No rule knows this name"),
        ("gpt-4", "The provider no longer serves this model."),
        ("gpt-9-ultra", "No price is listed: requests will show $0.00 (pricing unavailable)."),
    ],
)
def test_what_to_beware_of_is_said(admin: Visit, name: str, sentence: str) -> None:
    page = parse(admin.get(f"/detect?model={name}").text)
    assert any(sentence in note.text for note in page.all("p", class_="note"))


def test_a_name_that_is_nearly_listed_gets_its_neighbours(admin: Visit) -> None:
    page = parse(admin.get("/detect?model=gtp-4o-mini").text)
    assert "gpt-4o-mini" in [link.text for link in page.one("section", aria_labelledby="trace").all("a")]


def test_many_names_make_a_table_and_a_viewer_may_ask(viewer: Visit) -> None:
    names = ["gpt-4o", "claude-haiku-4-5", "", "grok-4", HOSTILE]
    answer = viewer.submit("/detect", {"model": "\n".join(names)}, page="/detect")
    page = parse(answer.text)
    rows = [[cell.text for cell in row.all("th") + row.all("td")] for row in page.one("tbody").all("tr")]
    assert [row[:2] for row in rows[:3]] == [
        ["gpt-4o", "openai"],
        ["claude-haiku-4-5", "anthropic"],
        ["grok-4", "none"],
    ]
    assert rows[3][0] == HOSTILE
    assert "<script>alert" not in answer.text


def test_a_thousand_names_are_looked_at_and_the_rest_is_said(admin: Visit) -> None:
    answer = admin.submit("/detect", {"model": "\n".join(f"gpt-{n}" for n in range(1005))}, page="/detect")
    page = parse(answer.text)
    assert len(page.one("tbody").all("tr")) == 1000
    assert "5 were left out" in page.text


def test_the_same_as_a_file_that_no_spreadsheet_runs(admin: Visit) -> None:
    fields = {"model": 'gpt-4o-mini\n=HYPERLINK("http://evil")\n@sum', "as": "csv"}
    answer = admin.submit("/detect", fields, page="/detect")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert (rows[0]["model"], rows[0]["provider"], rows[0]["input"]) == ("gpt-4o-mini", "openai", "0.15")
    assert [row["model"][0] for row in rows[1:]] == ["'", "'"]
