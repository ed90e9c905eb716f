"""Who may use the admin API: whoever has its token."""

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

from app.services import Services


def require_token(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Raises 401 unless the request carries `Authorization: Bearer` with the admin token."""
    services: Services = connection.app.state.services
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    expected = services.admin_token.encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected):
        raise NotAuthorizedException(
            "Send Authorization: Bearer with the admin token: LECTR_ADMIN_TOKEN, or the file admin-token in Lectr's "
            "data folder."
        )
