"""What a person does with advice, in a real browser: reads it, asks what if, decides, and looks at the requests."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.operations.advice import AdviceEngine, AdviceReport
from tests.browser.conftest import Seat
from tests.console.stage import Stage, running

pytestmark = pytest.mark.browser
Sit = Callable[..., Seat]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A month of the demo's traffic, for whoever changes nothing."""
    with running(tmp_path_factory.mktemp("advice") / "demo", requests=4000, demo=True) as stage:
        yield stage


def at(sit: Sit, stage: Stage, path: str = "/recommendations", **options: object) -> Seat:
    """A seat before a page."""
    seat = sit(stage, **options)
    seat.sign_in()
    seat.open(path)
    return seat


def test_a_card_says_what_why_how_sure_and_why_not_others(sit: Sit, demo: Stage) -> None:
    page = at(sit, demo).page
    card = page.locator("article", has_text="gpt-4o → gpt-6-luna").first
    expect(card).to_contain_text(re.compile(r"On gpt-6-luna these [\d,]+ requests would have cost \$[\d.]+ less"))
    for term in ("Saving", "Cost", "Break-even", "Based on", "Why", "Confidence", "Quality", "Change", "Ends"):
        expect(card.locator("dt", has_text=re.compile(f"^{term}$"))).to_have_count(1)
    reason = card.locator("dd", has_text="ends on 2027-01-14").last
    expect(reason).to_be_hidden()
    card.locator("summary", has_text="Why not gpt-4o-mini").click()
    expect(reason).to_be_visible()
    card.locator("summary", has_text="price entries").click()
    expect(card.locator("li", has_text="per million tokens").first).to_be_visible()


def test_the_requests_behind_a_card_are_one_click_away(sit: Sit, demo: Stage) -> None:
    page = at(sit, demo).page
    card = page.locator("article").first
    count = card.locator("dd a", has_text="requests").first.inner_text()
    card.locator("dd a", has_text="requests").first.click()
    expect(page.locator("h1")).to_contain_text("→")
    expect(page.locator("dl.facts").first).to_contain_text(f"{count}, each priced anew")
    expect(page.locator("tbody tr")).to_have_count(min(100, int(count.split()[0].replace(",", ""))))
    page.locator("tbody a.row").first.click()
    expect(page.locator(".bill-total")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_what_if_works_and_its_address_is_its_state(sit: Sit, demo: Stage, scripts: bool) -> None:
    page = at(sit, demo, java_script_enabled=scripts).page
    panel = page.locator("#what-if-panel")
    panel.locator("select[name=group]").select_option(label="support-bot · classification · gpt-4o · short prompts")
    if not scripts:
        panel.locator("button").click()
    expect(panel.locator("select[name=target]")).to_be_visible()
    assert "group=" in page.url
    panel.locator("select[name=target]").select_option("gpt-5.5")
    panel.locator("button").click()
    expect(panel).to_contain_text("That is a loss, not a saving.")
    expect(panel).to_contain_text(re.compile(r"would have cost \$[\d.]+ more \(\d+ %\)"))
    address = page.url
    assert "target=gpt-5.5" in address
    page.goto("about:blank")
    page.goto(address)
    expect(panel).to_contain_text("That is a loss, not a saving.")
    panel.locator("dd a", has_text="requests").first.click()
    expect(page.locator("h1")).to_contain_text("gpt-4o → gpt-5.5")


def test_a_group_of_another_provider_offers_that_provider_s_models(sit: Sit, demo: Stage) -> None:
    page = at(sit, demo).page
    panel = page.locator("#what-if-panel")
    for group, model in (("claude-haiku-4-5", "claude-opus-5-5"), ("gemini-2.5-flash", "gemini-3.8-flash")):
        option = panel.locator("select[name=group] option", has_text=group).first
        panel.locator("select[name=group]").select_option(option.get_attribute("value"))
        expect(panel.locator(f"select[name=target] option[value='{model}']")).to_have_count(1)
        expect(panel.locator("select[name=target] option[value='gpt-4o']")).to_have_count(0)


def test_accept_and_dismiss_keep_their_reason_and_move_the_card(sit: Sit, tmp_path: Path) -> None:
    with running(tmp_path / "demo", requests=4000, demo=True) as stage:
        page = at(sit, stage).page
        first = page.locator("#advice .stack > article").first
        name = first.get_attribute("id")
        first.locator("input[name=reason]").fill("the labels are the same")
        first.locator("button", has_text="Accept").click()
        accepted = page.locator("#accepted")
        expect(accepted.locator(f"article[id='{name}']")).to_be_visible()
        expect(accepted).to_contain_text("accepted: the labels are the same")
        expect(accepted.locator("dt", has_text="Since then")).to_have_count(1)
        expect(accepted).to_contain_text("not enough data (0 of 50 requests)")
        accepted.locator("input[name=reason]").fill("answers were <b>worse</b>")
        accepted.locator("button", has_text="Dismiss").click()
        dismissed = page.locator("#dismissed")
        expect(dismissed.locator("summary").first).to_have_text("Dismissed (1)")
        dismissed.locator("summary").first.click()
        expect(dismissed).to_contain_text("dismissed: answers were <b>worse</b>")
        viewer = sit(stage)
        viewer.sign_in("viewer")
        viewer.open("/recommendations")
        expect(viewer.page.locator("article button", has_text="Accept")).to_have_count(0)


def test_calendar_and_other_ways_to_pay_are_sentences_and_estimates(sit: Sit, demo: Stage) -> None:
    page = at(sit, demo).page
    row = page.locator("section[aria-labelledby=endings] tr", has_text="gpt-4o ends").first
    expect(row).to_contain_text("gpt-4o ends on 2027-01-14; on gpt-6-luna your last 30 days would have cost $")
    ways = page.locator("section[aria-labelledby=discounts]")
    expect(ways.locator(".badge", has_text="estimates")).to_be_visible()
    expect(ways.locator("thead")).to_contain_text("Prompt caching")
    expect(ways.locator("tbody tr", has_text="report-writer")).to_contain_text("up to $")
    expect(ways).to_contain_text("are assumed to be a beginning that comes again")


def test_an_empty_ledger_and_a_filter_that_fits_nothing_say_so(sit: Sit, demo: Stage, tmp_path: Path) -> None:
    with running(tmp_path, requests=0) as fresh:
        page = at(sit, fresh).page
        expect(page.locator("section[aria-labelledby=traffic]")).to_contain_text("No request for text was recorded")
        expect(page.locator("#what-if-panel")).to_have_count(0)
    narrowed = at(sit, demo, "/recommendations?feature=nobody-s").page
    expect(narrowed.locator("section[aria-labelledby=traffic]")).to_contain_text("No group fits")
    narrowed.click("text=All groups")
    narrowed.select_option("select[name=feature]", "search")
    narrowed.click("button:text-is('Show')")
    expect(narrowed.locator("#advice .stack > article h3").first).to_contain_text("search: ")


def _axe(seat: Seat) -> list[str]:
    """What axe finds in the advice; the long tables below it have their own test."""
    seat.page.evaluate("document.querySelectorAll('#listed, #living').forEach(one => one.closest('section').remove())")
    return seat.axe()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(sit: Sit, demo: Stage, width: int, scheme: str) -> None:
    narrow = "/recommendations?feature=search"
    seat = at(sit, demo, narrow, viewport={"width": width, "height": 760}, color_scheme=scheme)
    page = seat.page
    for fold in page.locator("details:not([open]) > summary:visible").all()[:4]:
        fold.click()
    page.evaluate("scrollTo(0, 0)")  # what lies half under the bar is no small target
    group = page.locator("select[name=group] optgroup option").first.get_attribute("value")
    found = {"open": _axe(seat)}
    link = page.locator("article dd a").first.get_attribute("href")
    assert link
    for path in (f"{narrow}&group={group}&target=claude-haiku-5-5", link):
        seat.open(path)
        found[path] = _axe(seat)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_a_page_that_came_too_early_fills_itself(sit: Sit, demo: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = AdviceEngine.report_within
    looks = 0

    async def later(engine: AdviceEngine, seconds: float) -> AdviceReport | None:
        nonlocal looks
        looks += 1
        return None if looks <= 2 else await ready(engine, seconds)

    monkeypatch.setattr(AdviceEngine, "report_within", later)
    seat = sit(demo)
    seat.sign_in()
    seat.page.goto(demo.url + "/recommendations")
    expect(seat.page.locator("#advice")).to_contain_text("Adding up your requests")
    expect(seat.page.locator("#advice article").first).to_be_visible(timeout=30_000)
    assert looks == 3
