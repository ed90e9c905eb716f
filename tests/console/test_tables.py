"""The tables that the product promises in its own words: providers, models, tasks, recommendations."""

import csv
import json
import re
from collections.abc import Iterator

import pytest

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from tests.console.html import Element, parse
from tests.console.stage import Stage, Visit
from tests.shared_data import shared_data


def cells(table: Element) -> Iterator[list[str]]:
    for row in table.one("tbody").all("tr"):
        yield [cell.text for cell in row.children if isinstance(cell, Element)]


def seed() -> list[dict[str, str]]:
    with shared_data("seed_models.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def listed_words(row: dict[str, str]) -> str:
    one, far = row["downgrade_conservative"], row["downgrade_aggressive"]
    if not one:
        return "—"
    return f"Downgrade → {one}" if one == far else f"Downgrade → {one} (conservative) or {far} (aggressive)"


def test_the_provider_table_opens_the_models_page(admin: Visit) -> None:
    page = parse(admin.get("/models").text)
    table = page.all("table")[0]
    assert [head.text for head in table.all("th", scope="col")] == [
        "Provider",
        "Detection",
        "Upstream endpoint",
        "Auth",
    ]
    rows = {row[0]: row[1:] for row in cells(table)}
    assert list(rows) == ["openai", "anthropic", "groq", "gemini", "azure"]
    assert rows["groq"] == ["automatic", "https://api.groq.com/openai", "Authorization: Bearer"]
    assert rows["gemini"][1] == "https://generativelanguage.googleapis.com/v1beta/openai"
    assert rows["anthropic"][2].startswith("x-api-key (+ anthropic-version, 2023-06-01 if absent)")
    assert rows["azure"][0] == "only by header X-Lectr-Provider: azure (or a Lectr key whose default provider is azure)"
    assert rows["azure"][2].startswith("api-key; Entra tokens (eyJ…)")


def test_every_model_of_the_registry_is_on_the_models_page(admin: Visit) -> None:
    page = parse(admin.get("/models").text)
    shown = [link.attributes["href"] for link in page.all("a", class_="row")]
    listed = {f"/models/{model.id}?provider={model.provider}" for model in load_catalog(REGISTRY_DIR).models}
    assert set(shown) == listed
    assert len(shown) == len(listed)


def test_the_listed_models_are_routing_targets(admin: Visit) -> None:
    page = parse(admin.get("/models?target=yes").text)
    assert {link.text for link in page.all("a", class_="row")} == {row["model"] for row in seed()}


@pytest.mark.parametrize("query", ["provider=groq", "alive=retired", "can=reasoning&provider=anthropic", "q=gpt-4o"])
def test_a_models_facet_counts_what_choosing_it_gives(admin: Visit, query: str) -> None:
    page = parse(admin.get(f"/models?{query}").text)
    tally = page.one("p", class_="tally").text
    assert tally.startswith(f"{len(page.all('a', class_='row'))} of ")
    for link in page.one("aside").all("a"):
        if link.attributes.get("aria-current") or link.text.endswith("0"):
            continue
        counted = re.search(r"(\d+)$", link.text)
        assert counted
        chosen = parse(admin.get(link.attributes["href"]).text)
        label, number = link.all("span")
        assert len(chosen.all("a", class_="row")) == int(number.text), (query, label.text)


def test_the_recommendations_page_opens_with_the_task_table(admin: Visit) -> None:
    page = parse(admin.get("/recommendations").text)
    rows = {row[0]: row[1] for row in cells(page.all("table")[0])}
    assert rows["classification"] == "aggressive: the smallest viable model (follow the downgrades to the end)"
    assert rows["extraction"] == "aggressive for short prompts, moderate for long ones"
    assert rows["summarisation"] == "moderate for short prompts, conservative for long ones"
    assert rows["generation"] == "conservative: only when other signals agree"
    assert rows["reasoning"] == "never, whatever any signal says"


def test_the_listed_table_stands_as_listed_in_its_own_words(admin: Visit) -> None:
    page = parse(admin.get("/recommendations").text)
    table = page.one("section", aria_labelledby="listed").one("table")
    shown = [(row.one("th").one("a").text, row.all("td")[0].text) for row in table.one("tbody").all("tr")]
    assert shown == [(row["model"], listed_words(row)) for row in seed()]


def test_each_listed_row_carries_what_is_true_today(admin: Visit) -> None:
    page = parse(admin.get("/recommendations").text)
    table = page.one("section", aria_labelledby="listed").one("table")
    today = {row.one("th").one("a").text: row.all("td")[1].text for row in table.one("tbody").all("tr")}
    assert "retired" in today["o1-mini"]
    assert "costs more" in today["o1-mini"]
    assert "input +127 %" in today["o1-mini"]
    assert "saves until 2027-01-14" in today["gpt-4o"]
    assert "retired" in today["claude-3-opus-20240229"]


def test_a_model_page_shows_prices_lifecycle_and_both_ways_of_downgrade(admin: Visit) -> None:
    page = parse(admin.get("/models/gpt-4o-mini").text)
    assert page.one("h1").text == "gpt-4o-mini"
    assert "$0.15" in page.one("section", aria_labelledby="prices").text
    assert "until 2027-01-14" in page.text
    assert "gpt-4o" in [link.text for link in page.one("section", aria_labelledby="downgrades").all("a")]


def test_an_id_with_a_slash_is_an_address(admin: Visit) -> None:
    assert parse(admin.get("/models/openai/gpt-oss-20b").text).one("h1").text == "openai/gpt-oss-20b"
    assert admin.get("/models/no-such-model").status_code == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/models/gpt-4o-mini", ("/v1/chat/completions", "$OPENAI_API_KEY", 'model="gpt-4o-mini"')),
        ("/models/claude-haiku-4-5", ("/v1/messages", "$ANTHROPIC_API_KEY", "from anthropic import", "max_tokens")),
        ("/models/text-embedding-3-small", ("/v1/embeddings", "client.embeddings.create")),
        ("/models/openai/gpt-oss-20b", ("$GROQ_API_KEY", '"model": "openai/gpt-oss-20b"')),
    ],
)
def test_a_models_page_shows_how_to_ask_for_it(stage: Stage, admin: Visit, path: str, words: tuple[str, ...]) -> None:
    curl, python = ("".join(map(str, pre.children)) for pre in parse(admin.get(path).text).all("pre"))
    assert all(stage.url in text for text in (curl, python))
    assert [word for word in words if word not in curl + python] == []
    compile(python, "snippet", "exec")
    json.loads(curl[curl.index("'{") + 1 : -1])


def test_an_image_models_page_shows_no_chat_snippet(admin: Visit) -> None:
    assert not parse(admin.get("/models/gpt-image-1").text).all("pre")
