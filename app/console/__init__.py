"""HTTP for people: the console. `routes()` is all of it; one file per page, named by the page."""

from litestar import Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from app.console import (
    advice,
    advice_evidence,
    box,
    detect,
    features,
    files,
    keys,
    live,
    model,
    models,
    overview,
    people,
    prices,
    providers,
    recommendations,
    request,
    requests,
    settings,
    sign_in,
    theme,
)
from app.console.assets import static_file
from app.console.page import page
from app.console.session import visitor
from app.services import see_all_rows

__all__ = ["routes"]


def routes() -> list[ControllerRouterHandler]:
    """Every route of the console. All but the sign-in page and the static files need a session."""
    pages = Router(
        "/",
        route_handlers=[
            overview.show_overview,
            requests.list_requests,
            files.export_requests,
            request.show_request,
            live.follow_requests,
            models.list_models,
            model.show_model,
            recommendations.show_recommendations,
            advice.decide,
            advice_evidence.show_evidence,
            detect.show_detect,
            detect.detect_many,
            features.show_features,
            settings.show_settings,
            keys.create_key,
            keys.revoke_key,
            providers.set_azure,
            providers.test_provider,
            people.add_user,
            people.delete_user,
            people.link_user,
            people.change_password,
            prices.add_override,
            prices.delete_override,
            prices.reprice,
            box.show_self_check,
            box.set_zone,
            box.set_retention,
            box.make_backup,
            theme.choose_theme,
        ],
        dependencies={"visitor": Provide(visitor), "page": Provide(page)},
        before_request=see_all_rows,
        include_in_schema=False,
    )
    return [static_file, *sign_in.routes(), pages]
