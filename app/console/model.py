"""/models/{id}: one model: price history, lifecycle, capabilities, downgrades in and out, your usage."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from app.catalog.catalog import Catalog
from app.catalog.schema import Model, Price
from app.console.models import CAPABILITIES
from app.console.page import Page
from app.console.snippets import Snippet, model_snippets
from app.console.times import today
from app.detection.explain import explain
from app.ledger import reports
from app.ledger.filters import RequestFilter

_USAGE_DAYS = 30


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of model.html."""

    model: Model
    alive: bool
    prices: list[Price]
    capabilities: list[tuple[str, bool | None]]
    downgrades_out: list[tuple[str, str]]
    downgrades_in: list[tuple[str, str]]
    also_at: list[str]
    usage: Any
    usage_days: int
    snippets: list[Snippet]


@get("/models/{id:path}")
async def show_model(page: NamedDependency[Page], id: FromPath[str]) -> Response[bytes]:
    """The model with this id at `?provider=`, else at the detected one. An id may contain slashes."""
    catalog = page.services.catalog.current
    name = id.removeprefix("/")
    provider = page.parameters("provider").get("provider") or explain(catalog, model=name).provider
    found = catalog.find(name, provider) or catalog.find(name)
    if found is None:
        raise NotFoundException(f"The registry lists no model {name[:100]!r}.")
    day = today(page.now_us(), page.zone)
    usage = await reports.usage_by(
        page.services.database,
        "model",
        since=day - timedelta(days=_USAGE_DAYS - 1),
        until=day + timedelta(days=1),
        zone=page.zone,
        f=RequestFilter(model=found.id, provider=found.provider),
    )
    view = ModelView(
        model=found,
        alive=found.lifecycle.alive_on(day),
        prices=sorted(found.prices, key=lambda price: (bool(price.when), -(price.starts or day.min).toordinal())),
        capabilities=[(label, getattr(found.capabilities, field)) for field, label in CAPABILITIES.items()],
        downgrades_out=_out(found),
        downgrades_in=_in(catalog, found),
        also_at=[owner for owner in catalog.owners(found.id) if owner != found.provider],
        usage=usage.total,
        usage_days=_USAGE_DAYS,
        snippets=model_snippets(page.base_url(), found, catalog.providers[found.provider].key_setting),
    )
    return await page.answer("model.html", view, title=found.id)


def _out(model: Model) -> list[tuple[str, str]]:
    found = []
    for table, downgrades in (("listed", model.listed), ("living", model.living)):
        for level in ("conservative", "moderate", "aggressive"):
            target = getattr(downgrades, level) if downgrades else None
            if target:
                found.append((target, f"{table}, {level}"))
    return found


def _in(catalog: Catalog, model: Model) -> list[tuple[str, str]]:
    return [
        (source.id, words)
        for source in catalog.models
        if source.provider == model.provider
        for target, words in _out(source)
        if target == model.id
    ]
