"""axe-core finds nothing on any page, light and dark, wide and narrow; nothing is wider than a phone."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Seat
from tests.console.stage import Stage

pytestmark = pytest.mark.browser
PAGES = (
    *("/", "/requests?range=all", "/requests?q=zzzz", "/requests?range=all&provider=openai&sort=cost&dir=asc"),
    *("/requests?since=2026-01-01&until=2026-01-02", "/models", "/models/gpt-4o-mini"),
    *("/recommendations",),
    *("/detect", "/detect?model=openai/gpt-oss-120b", "/features?range=all", "/settings", "/settings/self-check"),
)


@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_on_any_page(sit: Callable[..., Seat], stage: Stage, width: int) -> None:
    seat = sit(viewport={"width": width, "height": 760})
    seat.page.goto(stage.url + "/sign-in")
    found = {"/sign-in": seat.axe()}
    seat.sign_in()
    for path in (*PAGES, f"/requests/{stage.entries[-1].id}", f"/requests/{stage.entries[-5].id}"):
        seat.open(path)
        found[path] = seat.axe()
        assert seat.page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than {width}"
    seat.open("/requests?range=all").click(".rows a.row >> nth=2")
    seat.page.wait_for_selector("#panel .bill")
    found["panel"] = seat.axe()
    assert {path: faults for path, faults in found.items() if faults} == {}
