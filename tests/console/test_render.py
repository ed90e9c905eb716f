from pathlib import Path

import pytest

from app.console.render import templates
from tests.console.html import parse
from tests.console.stage import Stage, Visit

PARTIAL = {"hx-request": "true", "hx-request-type": "partial"}
PAGES = ["/", "/requests", "/models", "/detect?model=gpt-4o-mini", "/features"]
FOLDER = Path(__file__).resolve().parents[2] / "app" / "templates"


@pytest.mark.parametrize("path", PAGES)
def test_htmx_gets_the_part_it_asks_for_and_everybody_else_the_page(admin: Visit, path: str) -> None:
    fragment = admin.get(path, **PARTIAL)
    page = admin.get(path)
    assert page.text.startswith("<!doctype html>")
    assert "<html" not in fragment.text
    assert '<nav class="places"' not in fragment.text
    inside = next(element for element in parse(page.text) if element.attributes.get("id") == "results")
    ours = parse(fragment.text)
    assert ours.text == inside.text


@pytest.mark.parametrize(
    "headers",
    [
        {"hx-request": "true"},
        {"hx-request": "true", "hx-request-type": "full"},
        {**PARTIAL, "hx-boosted": "true"},
        {**PARTIAL, "hx-history-restore-request": "true"},
        {"hx-request-type": "partial"},
    ],
)
def test_a_boosted_or_restored_page_is_whole(admin: Visit, headers: dict[str, str]) -> None:
    assert admin.get("/requests", **headers).text.startswith("<!doctype html>")


@pytest.mark.parametrize("headers", [{}, PARTIAL])
def test_no_cache_may_keep_or_confuse_page_and_fragment(admin: Visit, headers: dict[str, str]) -> None:
    answer = admin.get("/requests", **headers)
    assert answer.headers["cache-control"] == "no-store"
    assert "HX-Request" in answer.headers["vary"]


def test_templates_escape_and_refuse_unknown_names() -> None:
    environment = templates()
    assert environment.autoescape is True
    assert environment.undefined.__name__ == "StrictUndefined"


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.glob("*.html")))
def test_no_template_needs_what_the_policy_forbids(name: str) -> None:
    text = (FOLDER / name).read_text()
    for forbidden in (
        "|safe",
        "| safe",
        "<script>",
        "<style",
        " style=",
        " onclick",
        " onsubmit",
        "hx-on",
        "js:",
        "javascript:",
        "|tojson",
    ):
        assert forbidden not in text
    assert "Markup" not in text


@pytest.mark.parametrize("path", [*PAGES, "/recommendations", "/settings", "/models/gpt-4o"])
def test_pages_are_well_nested_with_one_heading_and_unique_ids(admin: Visit, path: str) -> None:
    page = parse(admin.get(path).text)
    assert len(page.all("h1")) == 1
    ids = [element.attributes["id"] for element in page if element.attributes.get("id")]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link.attributes.get("href"), f"a link without an address: {link.text}"
    for form in page.all("form"):
        assert form.attributes.get("action") or form.attributes.get("method") == "dialog"


def test_pages_are_gzipped_for_who_takes_it(stage: Stage, admin: Visit) -> None:
    assert admin.get("/requests", **{"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in admin.get("/requests", **{"accept-encoding": "identity"}).headers
