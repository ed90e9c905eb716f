"""What holds of every route: who may call it, from where, and with which headers it answers."""

from collections.abc import Iterator

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app import console
from app.console.security import CONSOLE_HEADERS
from app.console.session import VIEWER_MAY
from tests.console.stage import Stage, Visit

OPEN = {"/static/{name}", "/sign-in", "/sign-in/link/{token}"}
VALUES = {"{id}": "gpt-4o", "{name}": "x.css", "{token}": "x", "{provider}": "openai"}


def handlers() -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    services = Provide(lambda: None, sync_to_thread=False)
    app = Litestar(
        route_handlers=console.routes(), openapi_config=None, logging_config=None, dependencies={"services": services}
    )
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            for method in handler.http_methods:
                if method != "OPTIONS":
                    yield str(method), route.path_format, handler


def address(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace(name, value)
    return path


ALL = [(method, path, handler) for method, path, handler in handlers()]
CLOSED = [(method, path) for method, path, _ in ALL if path not in OPEN]
FORMS = [(path, bool(handler.opt.get(VIEWER_MAY))) for method, path, handler in ALL if method == "POST"]


def test_there_are_routes_to_test() -> None:
    assert len(ALL) > 25
    assert len(FORMS) > 12


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_but_the_door_opens_without_a_session(stage: Stage, method: str, path: str) -> None:
    answer = httpx.request(method, stage.url + address(path), headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"csrf": "0" * 80},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"theirs": "1"},
    ],
    ids=lambda how: next(iter(how.values()), "no token") if isinstance(how, dict) else "",
)
@pytest.mark.parametrize("path", [path for path, _ in FORMS])
def test_no_form_is_taken_from_elsewhere(
    stage: Stage, admin: Visit, viewer: Visit, path: str, how: dict[str, str]
) -> None:
    given = {name: value for name, value in how.items() if name in ("origin", "sec-fetch-site")}
    headers = {"accept": "text/html", "origin": stage.url, **given}
    fields = {"csrf": admin.csrf("/settings")} if given else {}
    if "theirs" in how:
        fields = {"csrf": viewer.csrf("/settings")}
    if "csrf" in how:
        fields = {"csrf": how["csrf"]}
    answer = admin.client.post(address(path), data=fields, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", [path for path, may in FORMS if not may and path not in OPEN])
def test_a_viewer_can_change_nothing(viewer: Visit, path: str) -> None:
    answer = viewer.submit(address(path), {"name": "backend", "id": "1", "kind": "price"})
    assert answer.status_code == 403
    assert "viewer" in answer.text


def test_what_a_viewer_may_send_changes_nothing_of_the_teams() -> None:
    assert {path for path, may in FORMS if may} == {"/detect", "/theme", "/sign-out", "/settings/password"}


@pytest.mark.parametrize("path", ["/", "/requests", "/sign-in", "/nope", "/requests/nope", "/static/nope", "/sign-out"])
def test_every_answer_carries_the_security_headers(admin: Visit, path: str) -> None:
    answer = admin.get(path)
    for name, value in CONSOLE_HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", sorted({address(path) for method, path, _ in ALL if method == "GET"}))
def test_head_answers_as_get_does_without_a_body(admin: Visit, path: str) -> None:
    answer = admin.client.head(path, headers={"accept": "text/html"})
    with admin.client.stream("GET", path, headers={"accept": "text/html"}) as whole:
        assert answer.status_code == whole.status_code
    assert answer.content == b""


def test_an_address_that_is_none_says_so_with_a_way_back(admin: Visit) -> None:
    answer = admin.get("/nope")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text
    assert 'href="/"' in answer.text
