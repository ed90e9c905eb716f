"""Hostile names in a ledger, and a browser that looks whether any of them is more than text."""

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.domain import LedgerEntry, Outcome, UsageSource, new_request_id
from app.ledger.database import open_database
from app.ledger.keys import KeyStore
from app.ledger.users import UserStore
from app.ledger.writer import LedgerWriter
from app.settings import Settings

CALLS = ("alert(1)", "window.ran=1", "fetch('/ran')", "import('/ran')")
FORMS = tuple(json.loads((Path(__file__).parent / "xss_forms.json").read_text()))
"""`{}` is where the code goes."""


def payloads() -> list[str]:
    """Our own list: each form with each kind of code in turn."""
    calls = itertools.cycle(CALLS)
    return [form.format(next(calls)) if "{}" in form else form for form in FORMS]


def naughty(path: Path) -> list[str]:
    """The 515 strings of the shared list."""
    return [str(text) for text in json.loads(path.read_text())]


def entries(names: Sequence[str], now_us: int) -> list[LedgerEntry]:
    """One row a name, which stands in every field that somebody else fills."""
    made = []
    for number, name in enumerate(names):
        short, at = name[:100] or "empty", now_us - number * 1_000_000
        made.append(
            LedgerEntry(
                id=new_request_id(at), started_at_us=at, finished_at_us=at + 9000, key=short, provider="openai",
                detected_by="exact", flags=(), request_model=name[:200] or "empty", response_model=name[:256] or None,
                endpoint="chat.completions", status=400, outcome=Outcome.PROVIDER_ERROR, error_code=name[:200] or None,
                error_source="provider", usage_source=UsageSource.NONE, cost_picousd=0, feature=short, task=short,
                service_tier=name[:60] or None, provider_request_id=name[:200] or None,
            )
        )  # fmt: skip
    return made


async def furnish(settings: Settings, names: Sequence[str], password: str, now_us: int) -> list[LedgerEntry]:
    """A ledger full of them, keys named so, and an admin."""
    database = await open_database(settings)
    try:
        await UserStore(database).create("admin", password, "admin")
        keys = KeyStore(database)
        for name in dict.fromkeys(name[:100].strip() for name in (*names[: len(FORMS)], *names[len(FORMS) :: 8])):
            try:
                await keys.create(name, feature=name[:100])
            except Exception:
                continue
        made = entries(names, now_us)
        writer = LedgerWriter(database, lambda: "UTC")
        writer.start()
        await asyncio.gather(*(writer.hand_over(entry) for entry in made))
        await writer.stop()
        return made
    finally:
        await database.close()


class Watch:
    """What a page did that a page of texts does not do."""

    def __init__(self, page: Any) -> None:
        self.faults: list[str] = []
        self.pages = 0
        self._page = page
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._note("/ran" in request.url, f"asked for {request.url}"))
        page.on("request", lambda request: self._note("127.0.0.1:9/" in request.url, f"asked for {request.url}"))
        page.on("console", lambda told: self._note("Content Security Policy" in told.text, f"violation: {told.text}"))
        page.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        page.add_init_script(
            "window.violations = []; document.addEventListener('securitypolicyviolation',"
            " event => window.violations.push(event.violatedDirective + ' ' + event.blockedURI))"
        )

    def _note(self, holds: bool, told: str) -> None:
        if holds:
            self.faults.append(f"{self._page.url[-80:]}: {told[:300]}")

    def _dialog(self, dialog: Any) -> None:
        self._note(True, f"dialog {dialog.message}")
        dialog.dismiss()

    def look(self, url: str) -> None:
        """Open a page, wait for what it loads by itself, and count what is on it that our templates do not have."""
        self._page.goto(url, wait_until="load")
        self.pages += 1
        self.check()

    def check(self) -> None:
        """Count what is on the page as it stands."""
        found = self._page.evaluate(
            "() => [window.ran === 1 ? 'ran' : '', ...window.violations,"
            " ...[...document.querySelectorAll('x-ran, iframe, object, embed, marquee, math, base, video, audio,"
            ' script:not([src^="/static/"]), link:not([href^="/static/"]), style, [onerror], [onload], [onfocus],'
            ' [onmouseover], [href^="javascript:" i], [hx-get="/ran"]\')].map(node => node.outerHTML.slice(0, 200))]'
        )
        for one in found:
            self._note(bool(one), f"found {one}")


def addresses(made: Sequence[LedgerEntry], step: int) -> Iterator[str]:
    """Every page that shows a name: lists by page and by filter, each `step`-th request, look-ups."""
    yield from ("/", "/features", "/models", "/recommendations", "/settings", "/requests")
    for by in ("model", "feature", "task", "key", "provider"):
        yield f"/?by={by}"
        yield f"/features?by={by}"
    for entry in made[::step]:
        name = quote((entry.request_model or "")[:150], safe="")
        yield f"/requests/{entry.id}"
        yield f"/requests?model={name}"
        yield f"/requests?feature={name}"
        yield f"/detect?model={name}"
        yield f"/models/{name}"
        yield f"/sign-in?next={name}"
        yield f"/nowhere/{name}"
