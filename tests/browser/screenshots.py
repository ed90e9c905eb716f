"""`python -m tests.browser.screenshots`: every page, wide and narrow, light and dark, into docs/screenshots."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, Seat
from tests.conftest import find_tool
from tests.console.stage import running

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
PAGES = {
    "overview": "/",
    "requests": "/requests",
    "models": "/models",
    "model": "/models/gpt-4o-mini",
    "recommendations": "/recommendations",
    "detect": "/detect?model=openai/gpt-oss-120b",
    "features": "/features",
    "settings": "/settings",
}
SIZES = {1280: 800, 360: 740}
ROWS = 20_000
"""As many as `lectr demo` builds: fewer leave too little to save for any advice to be counted."""


def main() -> int:
    """Take the pictures; exit code 1 where chromium is missing or a page reported a fault."""
    chromium = find_tool("chromium")
    if chromium is None:
        print("chromium is missing")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "demo", requests=ROWS, demo=True) as stage,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                seat = Seat(context, stage)
                take(seat, f"{width}-{scheme}")
                faults += seat.faults
                context.close()
        browser.close()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def take(seat: Seat, variant: str) -> None:
    """All pages as one person sees them."""
    seat.open("/sign-in").screenshot(path=FOLDER / f"sign-in-{variant}.png")
    seat.sign_in()
    for name, path in PAGES.items():
        seat.open(path).screenshot(path=FOLDER / f"{name}-{variant}.png")
    page = seat.open("/requests")
    page.click("#rows a.row >> nth=1")
    page.wait_for_selector("#panel .bill")
    page.screenshot(path=FOLDER / f"bill-{variant}.png")


if __name__ == "__main__":
    sys.exit(main())
