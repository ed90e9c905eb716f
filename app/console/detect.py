"""/detect: paste model names, see for each the provider, the rules tried, the price and what to beware of."""

from datetime import date
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from app.catalog.catalog import Catalog, PriceMatch
from app.catalog.schema import Model
from app.console.links import Query
from app.console.page import Page
from app.console.session import VIEWER_MAY
from app.console.times import today
from app.detection.explain import explain
from app.domain import Detection
from app.ledger.export import csv_text
from app.ledger.polite import apart

_MAX_NAMES = 1000
_MAX_NAME_CHARACTERS = 256
_EXAMPLES = ("gpt-4o-mini", "claude-haiku-4-5", "openai/gpt-oss-120b", "gemini-2.5-flash", "grok-4")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one name."""

    name: str
    detection: Detection
    model: Model | None
    price: PriceMatch | None
    alive: bool
    warnings: list[str]


class DetectView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of detect.html: one name in full, or many in a table."""

    query: Query
    text: str
    found: list[Found]
    left_out: int
    examples: tuple[str, ...] = _EXAMPLES


@get("/detect")
async def show_detect(page: NamedDependency[Page]) -> Response[bytes]:
    """The form, and with `?model=` the answer to it."""
    query = Query("/detect", page.parameters("model"))
    return await _answer(page, query, query.get("model") or "")


@post("/detect", opt={VIEWER_MAY: True})
async def detect_many(page: NamedDependency[Page]) -> Response[bytes]:
    """The same for up to a thousand lines, which no URL would hold; `as=csv` gives a file. Changes nothing."""
    form = await page.form()
    text = form.get("model", "")
    if form.get("as") == "csv":
        catalog, day = page.services.catalog.current, _day(page)
        body = await apart(lambda: _csv([look_up(catalog, name, day) for name in _names(text)[0]]))
        headers = {"content-disposition": 'attachment; filename="detected.csv"', "cache-control": "no-store"}
        return Response(body, media_type="text/csv", headers=headers, status_code=200)
    return await _answer(page, Query("/detect"), text)


async def _answer(page: Page, query: Query, text: str) -> Response[bytes]:
    names, left_out = _names(text)
    catalog, day = page.services.catalog.current, _day(page)
    # A thousand names are a tenth of a second.
    found = await apart(lambda: [look_up(catalog, name, day) for name in names])
    view = DetectView(query=query, text=text, found=found, left_out=left_out)
    return await page.answer("detect.html", view, title="Detect", block="results")


def _day(page: Page) -> date:
    return today(page.now_us(), page.zone)


def _names(text: str) -> tuple[list[str], int]:
    names = [line.strip()[:_MAX_NAME_CHARACTERS] for line in text.splitlines() if line.strip()]
    return names[:_MAX_NAMES], max(0, len(names) - _MAX_NAMES)


def look_up(catalog: Catalog, name: str, day: date) -> Found:
    """Everything the registry and the rules say of a name on a day."""
    detection = explain(catalog, model=name)
    model = catalog.find(name, detection.provider) if detection.recognised else None
    price = catalog.price_at(detection.provider, name, day) if detection.recognised else None
    alive = model is None or model.lifecycle.alive_on(day)
    return Found(
        name=name,
        detection=detection,
        model=model,
        price=price,
        alive=alive,
        warnings=_warnings(detection, model, price, alive),
    )


def _warnings(detection: Detection, model: Model | None, price: PriceMatch | None, alive: bool) -> list[str]:
    warnings = []
    if not detection.recognised:
        warnings.append("No rule knows this name: the request goes to OpenAI, flagged provider_unknown.")
    if detection.ambiguous:
        warnings.append(f"Several providers list this name: {', '.join(detection.ambiguous)}.")
    if model is not None and not alive:
        instead = f" Its provider names {model.lifecycle.replacement} instead." if model.lifecycle.replacement else ""
        warnings.append(f"The provider no longer serves this model.{instead}")
    if detection.recognised and price is None:
        warnings.append("No price is listed: requests will show $0.00 (pricing unavailable).")
    if price is not None and price.by_base:
        warnings.append(f"Priced as {price.model.id}, without the date in its name: not a confident price.")
    return warnings


def _csv(found: list[Found]) -> bytes:
    names = (
        "model",
        "provider",
        "detected_by",
        "listed",
        "alive",
        "input",
        "cached",
        "output",
        "warnings",
        "near_misses",
    )
    lines: list[list[Any]] = [list(names)]
    for item in found:
        rates = item.price.price.rates if item.price else {}
        provider = item.detection.provider if item.detection.recognised else ""
        lines.append(
            [
                item.name,
                provider,
                item.detection.detected_by,
                "yes" if item.model else "no",
                "yes" if item.alive else "no",
                *(rates.get(unit) for unit in ("input_mtok", "cache_read_mtok", "output_mtok")),
                " ".join(item.warnings),
                " ".join(item.detection.near_misses),
            ]
        )
    return csv_text(lines).encode()
