"""`/api/overrides`: the team's own aliases and prices. A bad one is refused here, so that none can stop traffic."""

from datetime import date
from decimal import Decimal

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.api import parameters
from app.api.failures import BadQuery, documented
from app.catalog.schema import Override
from app.errors import ConflictError, NotFoundError, RegistryError, SameOverride
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


@get("/api/overrides", responses=documented(400))
async def override_list(request: parameters.Query, services: NamedDependency[Services]) -> OverrideList:
    """Aliases and prices of the team, in the order they were made."""
    parameters.only(request, ())
    return OverrideList(await services.team.list_overrides())


@post("/api/overrides", status_code=201, responses=documented(400, 409))
async def override_add(
    request: parameters.Query, data: JSONBody[OverrideBody], services: NamedDependency[Services]
) -> Response[Override]:
    """Add an alias or a price; it is in force in every process within a second. A bad one changes nothing."""
    parameters.only(request, ())
    made = _override(data)
    try:
        services.catalog.current.with_overrides([*await services.team.list_overrides(), made])
    except SameOverride as error:
        raise ConflictError(f"The new override {error.problem}. Delete that one first.") from None
    except RegistryError as error:
        # The one that is being added has the id 0 until it is kept.
        raise BadQuery(error.problem if error.where == "0" else str(error)) from None
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


@delete("/api/overrides/{override_id:str}", status_code=204, responses=documented(400, 404))
async def override_delete(
    request: parameters.Query, services: NamedDependency[Services], override_id: FromPath[str]
) -> None:
    """Take an override back; rows that it priced keep their cost."""
    parameters.only(request, ())
    if not (override_id.isascii() and override_id.isdigit()) or len(override_id) > 18:
        raise NotFoundError(f"There is no override {override_id[:40]!r}.")
    await services.team.delete_override(int(override_id))
    await services.refresh_catalog()


def _override(body: OverrideBody) -> Override:
    """The override a body asks for. Raises BadQuery where it mixes an alias with a price."""
    if body.kind == "alias" and (body.rates or body.starts):
        raise BadQuery("an alias has no rates and no starts: it takes the price of its model")
    if body.kind == "price" and body.alias is not None:
        raise BadQuery("a price has no alias: make the alias an override of its own")
    return Override(0, body.kind, body.provider, body.model, body.alias, body.rates, body.starts, body.note)
