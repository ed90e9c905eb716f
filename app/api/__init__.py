"""The JSON admin API under /api, for scripts. All of it needs the admin token."""

from litestar import Router

from app.api import catalog, overrides, recommendations, requests, system, usage
from app.api.guard import require_token
from app.services import see_all_rows


def routes() -> list[Router]:
    """Every route of the admin API."""
    handlers = [
        requests.request_list,
        requests.request_row,
        catalog.detect_model,
        catalog.model_list,
        catalog.model_detail,
        recommendations.recommendations,
        recommendations.recommendation_detail,
        recommendations.recommendation_accept,
        recommendations.recommendation_dismiss,
        overrides.override_list,
        overrides.override_add,
        overrides.override_delete,
        usage.usage,
        system.self_check,
        system.openapi,
    ]
    return [
        Router(path="/", route_handlers=handlers, guards=[require_token], before_request=see_all_rows, tags=["admin"])
    ]
