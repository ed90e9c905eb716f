"""How the admin API describes itself: the OpenAPI document of `/api/openapi.json`."""

from litestar import Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from app.api.guard import require_token

_SCHEME = "adminToken"


def openapi_config(version: str) -> OpenAPIConfig:
    """What Litestar needs to write the document. Its own copy of it under /api/docs needs the token too."""
    token = SecurityScheme(type="http", scheme="bearer", description="LECTR_ADMIN_TOKEN, or the file admin-token.")
    return OpenAPIConfig(
        title="Lectr",
        version=version,
        description="Lectr's admin API: requests and what they cost, models, detection and the team's own prices.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        components=Components(security_schemes={_SCHEME: token}),
        security=[{_SCHEME: []}],
        render_plugins=[JsonRenderPlugin()],
        openapi_router=Router("/api/docs", route_handlers=[], guards=[require_token], include_in_schema=False),
    )


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[str | PathParameterDefinition]) -> str:
    return handler.handler_name.lstrip("_")
