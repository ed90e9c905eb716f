"""Threats 18 and 19 in chromium: names of every kind in every field that somebody else fills are text, on each page."""

import asyncio
import csv
import io
import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.domain import LedgerEntry
from tests.running import ADMIN_TOKEN, Lectr, data_settings, running
from tests.security.browser_names import Watch, addresses, entries, furnish, naughty, payloads
from tests.security.test_t20_csv import STARTS, TAILS
from tests.shared_data import shared_data

PASSWORD = "correct horse battery"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
EACH = int(os.environ.get("LECTR_BROWSER_EACH", "300"))
"""Every so many names have pages of their own opened; all of them are in the lists. `make security` sets 1."""
MOST_LISTS = 30 if EACH > 50 else 400

HARMS = (
    "<script>alert(1)</script>", "<script>window.ran=1</script>", "<iframe></iframe>", "<img src=x onerror=1>",
    "<script>throw 1</script>", "<a href='javascript:1'>x</a>", "<img src=/ran>",
    "<meta http-equiv=content-security-policy content=\"script-src 'none'\"><script>1</script>",
)  # fmt: skip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def names() -> list[str]:
    formulas = [start + tail for start in STARTS for tail in TAILS]
    assert len(formulas) >= 60
    return [*payloads(), *naughty(shared_data("bad-inputs/naughty_strings.json")), *formulas]


@pytest.fixture(scope="module")
def hostile(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lectr, list[LedgerEntry]]]:
    settings = data_settings(tmp_path_factory.mktemp("names"))
    with ThreadPoolExecutor(1) as own_thread:
        made = own_thread.submit(asyncio.run, furnish(settings, names, PASSWORD, time.time_ns() // 1000)).result()
        starting = running(settings)
        lectr = own_thread.submit(starting.__enter__).result()
        try:
            yield lectr, made
        finally:
            assert lectr.health()["unexpected_errors"] == 0
            own_thread.submit(starting.__exit__, None, None, None).result()


def test_t18_t19_no_name_is_more_than_text_on_any_page(
    hostile: tuple[Lectr, list[LedgerEntry]], require_tool: Callable[[str], str]
) -> None:
    from playwright.sync_api import sync_playwright

    lectr, made = hostile
    url = f"http://127.0.0.1:{lectr.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_tool("chromium"), args=ARGUMENTS)
        page = browser.new_context().new_page()
        page.goto(f"{url}/sign-in")
        page.fill("[name=name]", "admin")
        page.fill("[name=password]", PASSWORD)
        page.click("button.primary")
        page.wait_for_url(f"{url}/")
        watch = Watch(page)
        for address in addresses(made, EACH):
            watch.look(url + address)
        lists, seen = f"{url}/requests", 0
        while lists and seen < MOST_LISTS:
            watch.look(lists)
            following = page.query_selector("tr.more-row a.button")
            lists = url + (following.get_attribute("href") or "") if following is not None else ""
            seen += 1
        # htmx puts rows and panels in; what it puts in is text as well.
        watch.look(f"{url}/requests")
        for _ in range(3):
            page.click("tr.more-row a.button")
            page.wait_for_load_state("networkidle")
        for row in page.query_selector_all("a.row")[:: max(20, EACH)]:
            row.click()
            page.wait_for_selector("#panel *")
            page.wait_for_load_state("networkidle")
            watch.check()
            page.keyboard.press("Escape")
        browser.close()
    assert watch.faults == []
    assert watch.pages > 40
    assert seen > 5, "the list of requests has no further pages"


def test_every_name_is_in_the_ledger_as_it_was_written(hostile: tuple[Lectr, list[LedgerEntry]]) -> None:
    """What a page showed as text was the name itself, not something mended on its way into the database."""
    lectr, made = hostile
    rows = {row["id"]: row for row in lectr.admin("/api/requests", limit=1000)["requests"]}
    assert rows.keys() == {entry.id for entry in made}
    same = sum(rows[entry.id]["request_model"] == entry.request_model for entry in made)
    assert same > len(made) * 0.9


def test_t20_no_cell_of_the_export_is_a_formula(hostile: tuple[Lectr, list[LedgerEntry]]) -> None:
    """Sixty formulas and every hostile name through the whole export, read as a spreadsheet reads it."""
    lectr, made = hostile
    address = f"http://127.0.0.1:{lectr.port}/api/requests?format=csv&limit=1000"
    answer = httpx.get(address, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=30)
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(made) + 1
    assert len({len(row) for row in rows}) == 1
    for cell in itertools.chain.from_iterable(rows):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")), cell[:80]
    assert sum(cell.startswith("'=") for row in rows for cell in row) >= 30


def test_our_own_list_is_a_list() -> None:
    made = payloads()
    assert len(made) >= 120
    assert len(set(made)) == len(made)
    assert len(entries(made, 1_790_000_000_000_000)) == len(made)


def test_a_page_that_runs_a_name_would_be_seen(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """The watch itself: each way of harm is noticed on a page without our policy."""
    from playwright.sync_api import sync_playwright

    file = tmp_path / "bad.html"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_tool("chromium"), args=ARGUMENTS)
        context = browser.new_context()
        for harm in HARMS:
            file.write_text(f"<!doctype html><meta charset=utf-8>{harm}")
            watch = Watch(context.new_page())
            watch.look(file.as_uri())
            assert watch.faults, harm
        browser.close()
