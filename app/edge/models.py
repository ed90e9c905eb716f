"""`GET /v1/models` and `/v1/models/{id}`: answered from the registry, in the shape the caller's SDK reads."""

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.schema import Model
from app.edge.client import Client
from app.edge.error_bodies import error_body, error_headers
from app.errors import RequestRejected
from app.services import Services

_LIST = "/v1/models"
_UNKNOWN_CREATION = 0


def covers(path: str) -> bool:
    """True for the paths that Lectr answers itself."""
    return path == _LIST or path.startswith(f"{_LIST}/")


async def answer_models(
    services: Services, client: Client, path: str, query: bytes, fields: dict[bytes, bytes]
) -> None:
    """Answer the list, or one model; 404 in the caller's shape for a model the registry does not have."""
    catalog = services.catalog.current
    anthropic = b"anthropic-version" in fields
    today = datetime.fromtimestamp(services.clock() / 1e6, UTC).date()
    shape = _anthropic_model if anthropic else _openai_model
    if path == _LIST:
        alive = [model for model in _models(catalog) if _wanted(model, today, everything=b"all=1" in query.split(b"&"))]
        data = [shape(model) for model in alive]
        document: Any = {"object": "list", "data": data}
        if anthropic:
            ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
            document = {"data": data, "has_more": False, **ends}
        await _send(client, 200, msgspec.json.encode(document))
        return
    name = unquote(path[len(_LIST) + 1 :])
    found = catalog.find(name)
    if found is None:
        rejected = RequestRejected(404, "model_not_found", f"The registry has no model {name[:200]!r}.")
        body = error_body(rejected, "/v1/messages" if anthropic else path)
        await client.refuse(404, error_headers(rejected, body), body)
        return
    await _send(client, 200, msgspec.json.encode(shape(found)))


def _models(catalog: Catalog) -> list[Model]:
    return [model for model in catalog.models if model.provider != "azure"]


def _wanted(model: Model, today: date, *, everything: bool) -> bool:
    return everything or model.lifecycle.alive_on(today)


def _openai_model(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": _UNKNOWN_CREATION, "owned_by": model.provider}


def _anthropic_model(model: Model) -> dict[str, Any]:
    return {"type": "model", "id": model.id, "display_name": model.id, "created_at": "1970-01-01T00:00:00Z"}


async def _send(client: Client, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await client.refuse(status, headers, body)
