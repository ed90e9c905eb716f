"""`/api/overrides`: the team's own aliases and prices. A bad one is refused here, so that none can stop traffic."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.api import parameters
from app.catalog.schema import Override
from app.errors import NotFoundError
from app.services import Services


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True):
    """`kind` `alias`: the name `alias` means `model`. `kind` `price`: `rates` (unit -> dollars) from `starts` on."""

    kind: str
    provider: str
    model: str
    alias: str | None = None
    rates: dict[str, Decimal] = {}
    starts: date | None = None
    note: str = ""


class OverrideList(msgspec.Struct):
    """All overrides of the team."""

    overrides: list[Override]


@get("/api/overrides")
async def override_list(request: parameters.Query, services: NamedDependency[Services]) -> OverrideList:
    """Aliases and prices of the team, in the order they were made."""
    parameters.only(request, ())
    return OverrideList(await services.team.list_overrides())


@post("/api/overrides", status_code=201)
async def override_add(data: JSONBody[OverrideBody], services: NamedDependency[Services]) -> Response[Any]:
    """Add one. 400 with the reason if it cannot be used."""
    made = Override(0, data.kind, data.provider, data.model, data.alias, data.rates, data.starts, data.note)
    services.catalog.current.with_overrides([*await services.team.list_overrides(), made])
    kept = await services.team.add_override(
        made.kind,
        made.provider,
        made.model,
        alias=made.alias,
        rates=made.rates,
        starts=made.starts,
        note=made.note,
    )
    await services.refresh_catalog()
    return Response(kept, status_code=201)


@delete("/api/overrides/{override_id:str}", status_code=204)
async def override_delete(services: NamedDependency[Services], override_id: FromPath[str]) -> None:
    """Take one back; rows that it priced keep their cost."""
    if not override_id.isdigit() or len(override_id) > 18:
        raise NotFoundError(f"There is no override {override_id[:40]!r}.")
    await services.team.delete_override(int(override_id))
    await services.refresh_catalog()
