"""HTTP for people: the console. `routes()` is all of it; one file per page, named by the page."""

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from app.console import detect, models, overview, recommendations, request, requests, sign_in, theme
from app.console.assets import static_file
from app.console.page import page
from app.console.session import visitor

__all__ = ["routes"]


def routes() -> list[ControllerRouterHandler]:
    """Every route of the console. All but the sign-in page and the static files need a session."""
    pages = Router(
        "/",
        route_handlers=[
            overview.show_overview,
            requests.list_requests,
            request.show_request,
            models.list_models,
            recommendations.show_recommendations,
            detect.show_detect,
            detect.detect_many,
            theme.choose_theme,
        ],
        dependencies={"visitor": Provide(visitor), "page": Provide(page)},
        include_in_schema=False,
    )
    return [static_file, *sign_in.routes(), pages]
