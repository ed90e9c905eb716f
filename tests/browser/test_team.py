"""What several people do with one console: share an address, set prices, look without changing anything."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Seat
from tests.console.stage import PASSWORD, Stage, running

pytestmark = pytest.mark.browser
Sit = Callable[..., Seat]
POST = (
    """([path, fields]) => fetch(path, {method: "POST", body: new URLSearchParams(fields)}).then(one => one.status)"""
)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stage]:
    with running(tmp_path, requests=150) as stage:
        yield stage


def shown(page: Page) -> list[str]:
    """The ids of the rows, top to bottom."""
    return [str(row.get_attribute("data-id")) for row in page.locator("#rows a.row").all()]


def test_a_sorted_and_filtered_list_is_the_same_for_whoever_opens_its_address(sit: Sit, stage: Stage) -> None:
    mine = sit()
    mine.sign_in()
    page = mine.open("/requests?range=all")
    page.click(".facets a:has-text('anthropic')")
    expect(page.locator(".chip")).to_have_text("Provider: anthropic")
    page.click("thead >> text=Cost")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Cost")
    page.wait_for_load_state("networkidle")
    entries = [entry for entry in stage.entries if entry.provider == "anthropic"]
    entries.sort(key=lambda entry: (-1 if entry.cost_picousd is None else entry.cost_picousd, entry.id), reverse=True)
    assert shown(page) == [entry.id for entry in entries[:50]]
    page.click("thead >> text=Cost")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Cost")
    page.go_back()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Cost")
    theirs = sit()
    theirs.page.goto(page.url)
    theirs.page.fill("[name=name]", "viewer")
    theirs.page.fill("[name=password]", PASSWORD)
    theirs.page.click("button.primary")
    theirs.page.wait_for_url(page.url)  # signing in leads to where the link pointed
    assert shown(theirs.page) == shown(page)


def test_days_are_chosen_and_said(sit: Sit, stage: Stage) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/requests")
    page.click("summary:has-text('Days')")
    page.fill("[name=since]", "2020-01-01")
    page.fill("[name=until]", "2020-02-01")
    page.click("text=Show")
    expect(page.locator("summary[aria-current]")).to_have_text("1 Jan 2020 – 31 Jan 2020")
    expect(page.locator(".empty h2")).to_have_text("No request fits")
    page.click("text=Show all requests")
    expect(page.locator(".tally strong").first).to_have_text(str(len(stage.entries)))


def test_a_price_is_looked_at_added_and_given_to_past_requests(sit: Sit, own: Stage) -> None:
    seat = sit(own)
    seat.sign_in()
    unpriced = sum(entry.billable and entry.cost_picousd is None for entry in own.entries)
    fitting = sum(entry.billable and entry.request_model == "o9-preview" for entry in own.entries)
    assert unpriced
    assert fitting
    page = seat.open("/requests?range=all&priced=false")
    expect(page.locator(".tally strong").first).to_have_text(str(unpriced))
    page.click("#rows tr:has-text('o9-preview') a.row")
    page.click("#panel >> text=Add a price")
    prices = page.locator("#prices form:has(h3:text-is('New price'))")
    expect(prices.locator("[name=model]")).to_have_value("o9-preview")
    prices.locator("[name=input_mtok]").fill("2")
    prices.locator("[name=output_mtok]").fill("8")
    prices.locator("[name=cache_read_mtok]").fill("1")
    prices.get_by_role("button", name="See what it would change").click()
    expect(page.locator("#prices [role=status]")).to_contain_text(f"{fitting} past request")
    expect(page.locator("#prices [role=status]")).to_be_in_viewport()
    expect(prices.locator("[name=output_mtok]")).to_have_value("8")
    expect(page.locator("#prices tbody")).to_have_count(0)
    prices.get_by_role("button", name="Add and reprice past requests").click()
    expect(page.locator("#prices [role=status]")).to_contain_text("The price is in force")
    expect(page.locator("#prices tbody tr")).to_have_count(1)
    page = seat.open("/requests?range=all&model=o9-preview&priced=true")
    expect(page.locator(".tally strong").first).to_have_text(str(fitting))
    page = seat.open("/settings")
    page.click("#prices button:has-text('See what would change')")
    expect(page.locator("#prices [role=status]")).to_contain_text("requests without a price")
    page.click("#prices button:has-text('Delete')")
    page.click("#confirm >> text=Yes")
    expect(page.locator("[role=status]").first).to_contain_text("The override is gone")


def test_a_reprice_shows_that_it_works_and_is_not_sent_twice(sit: Sit, own: Stage) -> None:
    seat = sit(own)
    seat.sign_in()
    page = seat.open("/settings")
    page.fill("#prices form:has(h3:text-is('New price')) [name=model]", "o9-preview")
    page.fill("#prices [name=input_mtok]", "2")
    page.fill("#prices [name=output_mtok]", "8")
    page.click("#prices button:has-text('Add price')")
    look = page.locator("#prices button:has-text('See what would change')")
    look.click()
    sure = page.locator("#prices button[name=for_good]")
    expect(page.locator("#prices")).to_contain_text("Traffic goes on meanwhile, and so does this if you leave")
    sent: list[str] = []

    def swallow(route: Route) -> None:
        # An answer without content leaves the page as it is while it waits.
        sent.append(route.request.post_data or "")
        route.fulfill(status=204)

    page.route("**/settings/reprice", swallow)
    sure.click()
    expect(sure).to_be_disabled()
    expect(sure).to_have_attribute("aria-busy", "true")
    expect(look).to_be_disabled()
    expect(page.locator("#prices .working")).to_have_text("Repricing …")
    [form] = sent
    assert "for_good=1" in form, "the pressed button is in what was sent"
    page.unroute("**/settings/reprice")
    seat.open("/settings")
    look.click()
    sure.click()
    expect(page.locator("#prices [role=status]")).to_contain_text("got a price")
    expect(look).to_be_enabled()


def test_a_viewer_sees_everything_and_can_change_nothing(sit: Sit, own: Stage) -> None:
    seat = sit(own)
    seat.sign_in("viewer")
    free = {"/theme", "/sign-out", "/detect", "/settings/password", "/settings/azure"}
    for path in ("/", "/requests", "/models", "/recommendations", "/detect", "/features", "/settings"):
        page = seat.open(path)
        expect(page.locator("h1")).to_be_visible()
        posts = page.evaluate("[...document.querySelectorAll('form[method=post]')].map(form => form.action)")
        assert {action.removeprefix(seat.url).partition("#")[0] for action in posts} <= free, path
    # Azure's form shows its values, has no button and cannot be typed into.
    azure = page.locator("form[action^='/settings/azure']")
    expect(azure.locator("button")).to_have_count(0)
    expect(azure.locator("[name=endpoint]")).not_to_be_editable()
    token = page.locator("[name=csrf]").first.input_value()
    seat.expected = ("403",)
    for path, fields in (
        ("/settings/keys", {"name": "mine"}),
        ("/settings/keys/revoke", {"name": "backend"}),
        ("/settings/azure", {"endpoint": "https://team.openai.azure.com"}),
        ("/settings/users", {"name": "me-too", "password": "long enough", "role": "admin"}),
        ("/settings/overrides", {"kind": "price", "provider": "openai", "model": "m", "input_mtok": "1"}),
        ("/settings/reprice", {"for_good": "1"}),
        ("/settings/zone", {"zone": "Asia/Tokyo"}),
        ("/recommendations/decide", {"id": "x", "decision": "accept"}),
    ):
        assert page.evaluate(POST, [path, {"csrf": token, **fields}]) == 403, path
    page = seat.open("/settings")
    expect(page.locator("#keys tbody tr")).to_have_count(2)
    expect(page.locator("#keys")).not_to_contain_text("revoked")


def test_a_person_is_added_signs_in_changes_the_password_and_is_signed_out_everywhere(sit: Sit, own: Stage) -> None:
    admin = sit(own)
    admin.sign_in()
    page = admin.open("/settings")
    page.fill("form[action='/settings/users#users'] input[name=name]", "nora")
    page.fill("#users form[action='/settings/users#users'] input[name=password]", PASSWORD)
    page.click("text=Add user")
    expect(page.locator("[role=status]").first).to_contain_text("can sign in now")
    nora, elsewhere = sit(own), sit(own)
    nora.sign_in("nora")
    elsewhere.sign_in("nora")
    page = nora.open("/settings")
    page.fill("[name=present]", PASSWORD)
    page.fill("form[action^='/settings/password'] [name=password]", "another horse")
    page.click("button:has-text('Change')")
    expect(page.locator("[role=status], h1").first).to_be_visible()
    elsewhere.page.goto(own.url + "/requests")
    expect(elsewhere.page.locator("h1")).to_have_text("Sign in")


def test_every_place_leads_on_to_what_is_behind_it(sit: Sit, stage: Stage) -> None:
    seat = sit()
    seat.sign_in()
    page = seat.open("/features?range=all")
    page.click("table a.row >> text=support-bot")
    expect(page.locator(".chip")).to_have_text("Feature: support-bot")
    count = sum(entry.feature == "support-bot" for entry in stage.entries)
    expect(page.locator(".tally strong").first).to_have_text(str(count))
    page = seat.open("/models")
    page.fill("input[type=search]", "haiku")
    page.wait_for_url("**/models?q=haiku")
    expect(page.locator("#results tbody .model").first).to_contain_text("haiku")
    page.click(".facets a:has-text('anthropic')")
    page.click("thead >> text=Input")
    page.wait_for_url("**sort=input**")
    page.click("#results a.row >> text=claude-haiku-4-5 >> nth=0")
    expect(page.locator("h1")).to_have_text("claude-haiku-4-5")
    expect(page.locator("#usage")).to_be_visible()
    page.click(".tally a")
    expect(page.locator(".chip")).to_have_text("Model: claude-haiku-4-5")
    page = seat.open("/recommendations")
    expect(page.locator("h2:has-text('The listed table')")).to_be_visible()
    page = seat.open("/")
    page.click("dl.tiles a >> text=%  >> nth=0")
    expect(page.locator(".chip")).to_have_text("failed")
