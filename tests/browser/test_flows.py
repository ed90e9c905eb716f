"""What a person does with the console, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Seat
from tests.console.stage import Stage, running

pytestmark = pytest.mark.browser
Sit = Callable[..., Seat]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stage]:
    with running(tmp_path, requests=0) as stage:
        yield stage


def test_search_as_you_type_keeps_the_url_and_back_restores_the_list(sit: Sit) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests?range=all")
    page.fill("input[type=search]", "claude")
    expect(page.locator(".chip")).to_have_text("Search: claude")
    page.wait_for_url("**/requests?q=claude&range=all")
    expect(page.locator("#rows .model").first).to_contain_text("claude-haiku-4-5")
    assert page.evaluate("document.activeElement.name") == "q", "typing goes on where it was"
    page.reload()
    expect(page.locator(".chip")).to_have_text("Search: claude")
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)


def test_a_facet_filters_and_clear_takes_it_away(sit: Sit, stage: Stage) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests?range=all")
    page.click(".facets a:has-text('groq')")
    count = sum(entry.provider == "groq" for entry in stage.entries)
    expect(page.locator(".tally strong").first).to_have_text(str(count))
    assert "provider=groq" in page.url
    page.click(".chips >> text=Clear")
    expect(page.locator(".tally strong").first).to_have_text(str(len(stage.entries)))


def test_a_row_opens_its_bill_beside_the_list_and_escape_closes_it(sit: Sit, stage: Stage) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests?range=all")
    first, second = stage.entries[-1], stage.entries[-2]
    page.click(f"a.row[data-id='{first.id}']")
    expect(page.locator("#panel .bill-total")).to_be_visible()
    assert page.url.endswith(f"/requests/{first.id}?range=all")
    page.keyboard.press("j")
    expect(page.locator(f"#panel [data-request='{second.id}']")).to_be_visible()
    page.keyboard.press("k")
    expect(page.locator(f"#panel [data-request='{first.id}']")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#panel .bill")).to_have_count(0)
    assert page.url.endswith("/requests?range=all")
    assert page.evaluate("document.activeElement.dataset.id") == first.id
    page.go_back()
    expect(page.locator("h1")).to_be_visible()
    # Opened by its own address it is a page, and so is the next one.
    page = seat.open(f"/requests/{first.id}?range=all")
    page.keyboard.press("j")
    page.wait_for_url(f"**/requests/{second.id}?range=all")
    expect(page.locator(f"h1, [data-request='{second.id}'] h1").first).to_be_visible()


def test_the_chart_is_drawn_also_on_a_page_that_htmx_brought(sit: Sit) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/models")
    page.click(".places >> text=Overview")
    expect(page.locator(".chart-box canvas")).to_be_visible()
    page.click(".segments >> text=7 days")
    expect(page.locator("#by-day-table tbody tr")).to_have_count(7)
    expect(page.locator(".chart-box canvas")).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_filtered_downloads_as_a_file(sit: Sit, stage: Stage, scripts: bool) -> None:
    seat = sit(java_script_enabled=scripts)
    seat.sign_in()
    page = seat.open("/requests?range=all&provider=groq")
    page.click("text=Export")
    with page.expect_download() as download:
        page.click(".files >> text=NDJSON")
    assert download.value.suggested_filename == "lectr-requests.ndjson"
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == sum(entry.provider == "groq" for entry in stage.entries)
    page.click("h1")
    expect(page.locator(".files .range-form")).to_be_visible(visible=not scripts)


def test_more_adds_rows_below(sit: Sit) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests?range=all")
    expect(page.locator("#rows a.row")).to_have_count(50)
    page.click("text=More")
    expect(page.locator("#rows a.row")).to_have_count(100)
    expect(page.locator(".more-row")).to_have_count(1)


def test_the_live_list_shows_a_request_as_it_ends(sit: Sit, fresh: Stage) -> None:
    seat = sit(fresh)
    seat.sign_in()
    page = seat.open("/settings")
    page.fill("#keys input[name=name]", "backend")
    page.click("text=Create key")
    headers = {"x-lectr-key": page.inner_text("#new-key"), "content-type": "application/json"}

    def send() -> None:
        # Without a provider key: answered by Lectr itself with 401, and a row of the ledger all the same.
        answer = seat.context.request.post(f"{fresh.url}/v1/embeddings", headers=headers, data='{"model": "none"}')
        assert answer.status == 401

    send()
    page.wait_for_timeout(1200)  # a row is visible within a second
    page.goto(fresh.url + "/requests")
    expect(page.locator("#rows a.row")).to_have_count(1)
    page.click("text=Live")
    expect(page.locator(".live-dot")).to_be_visible()
    page.wait_for_timeout(1500)
    send()
    expect(page.locator("#rows a.row")).to_have_count(2)
    # A tab that nobody sees asks for nothing, and catches up when it is seen again.
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    send()
    page.wait_for_timeout(2500)
    expect(page.locator("#rows a.row")).to_have_count(2)
    page.evaluate(hide, False)
    expect(page.locator("#rows a.row")).to_have_count(3)
    page.goto("about:blank")  # the stream ends, so that the server may


def test_the_keyboard_alone_reaches_a_bill_and_every_place(sit: Sit) -> None:
    seat = sit()
    page = seat.sign_in()
    places = ("requests", "models", "recommendations", "detect", "features", "settings", "")
    for letter, path in zip("rmadfso", places, strict=True):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(f"{seat.url}/{path}")
        expect(page.locator("h1")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url(f"{seat.url}/requests")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#panel .bill-total")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).not_to_be_visible()


def test_detect_answers_while_one_types_and_takes_a_thousand_names(sit: Sit) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/detect")
    page.fill("textarea", "claude-haiku-4-5")
    expect(page.locator(".verdict")).to_contain_text("anthropic")
    page.fill("textarea", "\n".join(f"gpt-{n}" for n in range(1000)))
    expect(page.locator("#results tbody tr")).to_have_count(1000)
    with page.expect_download() as download:
        page.click("text=CSV")
    assert len(Path(download.value.path()).read_text().splitlines()) == 1001


def test_a_key_is_made_shown_once_and_revoked_after_a_question(sit: Sit, fresh: Stage) -> None:
    seat = sit(fresh)
    seat.sign_in()
    page = seat.open("/settings")
    page.fill("#keys input[name=name]", "backend")
    page.click("text=Create key")
    expect(page.locator("#new-key")).to_contain_text("lc_key_")
    seat.open("/settings")
    expect(page.locator("#new-key")).to_have_count(0)
    page.click("#keys button:has-text('Revoke')")
    expect(page.locator("#confirm")).to_contain_text("Revoke the key backend?")
    page.click("#confirm >> text=Cancel")
    expect(page.locator("#confirm")).not_to_be_visible()
    page.click("#keys button:has-text('Revoke')")
    page.click("#confirm >> text=Yes")
    expect(page.locator("[role=status]").first).to_contain_text("The key is revoked")


def test_azure_is_set_in_the_console(sit: Sit, fresh: Stage) -> None:
    seat = sit(fresh)
    seat.sign_in()
    page = seat.open("/settings")
    page.fill("[name=endpoint]", "https://team.openai.azure.com")
    page.click("#providers button:has-text('Save')")
    expect(page.locator("[role=status]").first).to_contain_text("Azure's address is saved")
    expect(page.locator("[name=endpoint]")).to_have_value("https://team.openai.azure.com")


def test_the_theme_changes_at_once_and_stays(sit: Sit) -> None:
    seat = sit(color_scheme="light")
    page = seat.sign_in()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click(".menu summary")
    page.click("text=Dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    seat.open("/models")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_everything_works_without_javascript(sit: Sit, stage: Stage) -> None:
    seat = sit(java_script_enabled=False)
    page = seat.sign_in()
    page.click(".places >> text=Requests")
    page.fill("input[type=search]", "claude")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text("Search: claude")
    page.click(".chip")
    page.click(".facets a:has-text('gemini')")
    page.click("#rows a.row >> nth=0")
    expect(page.locator("h1")).to_have_text("gemini-2.5-flash")
    expect(page.locator(".bill-total")).to_be_visible()
    page.click("[data-close]")
    expect(page.locator(".chip")).to_have_count(1)
    page.click(".places >> text=Detect")
    page.fill("textarea", "gpt-4o-mini\ngroq/compound")
    page.click("button.primary")
    expect(page.locator("#results tbody tr")).to_have_count(2)


def test_on_a_phone_filters_open_over_the_list(sit: Sit) -> None:
    seat = sit(viewport={"width": 360, "height": 740}, has_touch=True)
    seat.sign_in()
    page = seat.open("/requests?range=all")
    expect(page.locator("#facets")).not_to_be_visible()
    page.click("text=Filters")
    expect(page.locator("#facets")).to_be_visible()
    page.click("#facets a:has-text('anthropic')")
    expect(page.locator(".chip")).to_have_text("Provider: anthropic")


def test_an_expired_session_leads_to_the_door_from_within_a_page(sit: Sit) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests?range=all")
    seat.context.clear_cookies(name="lectr")
    page.click(".segments >> text=30 days")
    page.wait_for_url("**/sign-in")


def weight(page: Page) -> int:
    """Bytes of the bodies that came over the network for this page, as compressed as they came."""
    return int(
        page.evaluate(
            """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
                .filter(entry => entry.transferSize > 0).reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
        )
    )


def test_the_first_load_and_every_later_page_stay_light(sit: Sit, stage: Stage) -> None:
    seat = sit()
    seat.page.goto(seat.url + "/sign-in")
    first = weight(seat.page)
    seat.sign_in()
    seat.page.wait_for_load_state("networkidle")
    first += weight(seat.page)
    assert 30_000 < first < 60_000
    weights = {}
    for path in (
        *("/models", "/models/gpt-4o-mini", "/requests", "/requests?range=all&sort=cost", "/?range=90d", "/features"),
        *(
            "/recommendations",
            "/settings",
            "/detect",
            "/detect?model=gpt-4o",
            f"/requests/{stage.entries[-1].id}",
            "/settings/self-check",
            "/",
        ),
    ):
        seat.open(path)
        weights[path] = weight(seat.page)
    assert {path: size for path, size in weights.items() if not 0 < size < 15_000} == {}
