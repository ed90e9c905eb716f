"""Chromium on a furnished Lectr. Every page reports what a person would see in the console of the browser."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.console.stage import PASSWORD, Stage, running

AXE = next(Path(__file__).parent.glob("axe-core-*.min.js.gz"))
BY_COLOUR = ["color-contrast", "link-in-text-block"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running(tmp_path_factory.mktemp("browser")) as stage:
        yield stage


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    # Not for the session: its loop would run on under the asynchronous tests of other packages.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(playwright: Playwright, require_tool: Callable[[str], str]) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=require_tool("chromium"), args=ARGUMENTS)
    yield browser
    browser.close()


class Seat:
    """A person before a browser window. `faults` collects console errors, failed requests and CSP violations."""

    def __init__(self, context: BrowserContext, stage: Stage) -> None:
        self.context = context
        self.url = stage.url
        self.faults: list[str] = []
        self.expected: tuple[str, ...] = ()
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") or "Content Security Policy" in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def _failed(self, request: Any) -> None:
        # A page that is left while its icon or stream still loads aborts them: nothing failed.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def sign_in(self, name: str = "admin") -> Page:
        """At the overview, signed in through the form."""
        self.page.goto(self.url + "/sign-in")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button.primary")
        self.page.wait_for_url(self.url + "/")
        return self.page

    def open(self, path: str) -> Page:
        """A page by its address, whole and quiet."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def axe(self) -> list[str]:
        """What axe-core finds wrong with the page as it stands, light and dark."""
        if not self.page.evaluate("Boolean(window.axe)"):
            self.page.evaluate(gzip.decompress(AXE.read_bytes()).decode())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        self.page.emulate_media(color_scheme="light")
        found = self._run_axe({"type": "tag", "values": tags})
        # The elements are the same: only what looks at colours can come out otherwise.
        self.page.emulate_media(color_scheme="dark")
        return [*found, *(f"dark: {fault}" for fault in self._run_axe({"type": "rule", "values": BY_COLOUR}))]

    def _run_axe(self, only: dict[str, object]) -> list[str]:
        result = self.page.evaluate("only => axe.run({runOnly: only})", only)
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]


@pytest.fixture
def sit(chromium: Browser, stage: Stage) -> Iterator[Callable[..., Seat]]:
    """Call it for a seat; its arguments are playwright's for a context. At the end no seat may have seen a fault."""
    seats: list[Seat] = []

    def take(at: Stage | None = None, **options: Any) -> Seat:
        seat = Seat(chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}), at or stage)
        seats.append(seat)
        return seat

    yield take
    faults = [
        fault for seat in seats for fault in seat.faults if not any(expected in fault for expected in seat.expected)
    ]
    for seat in seats:
        seat.context.close()
    assert faults == []
