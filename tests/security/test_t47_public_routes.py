"""Threats 40 and 47: who has no session, token or key gets the allow list and nothing else, always with its headers."""

import asyncio
import re

import httpx
import pytest

from app.asgi import create_app
from app.console.security import CONSOLE_HEADERS
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider
from tests.running import Lectr, data_settings
from tests.security.corpus import METHODS
from tests.security.wire import exchange_all, statuses

PUBLIC = {"GET /health", "GET /sign-in", "POST /sign-in", "GET /sign-in/link/x", "POST /sign-in/link/x"}
"""Everything that answers something else than 401, or a redirect to the door, to somebody unknown."""
STATIC = "/static/"
FILLING = {"id:int": "1", "token:str": "x"}


def routes(lectr: Lectr) -> list[tuple[str, str]]:
    """(method, path with its parameters filled) of every route there is."""
    app = create_app(lectr.settings)._app
    found = []
    for route in app.routes:  # type: ignore[attr-defined]
        path = re.sub(r"\{([^}]*)\}", lambda match: FILLING.get(match[1], "x"), route.path_format)
        methods = getattr(route, "methods", None) or {"GET", "POST"}
        found += [(method, path) for method in sorted(methods) if method != "OPTIONS"]
    return found


def test_t47_the_public_routes_are_the_listed_ones(lectr: Lectr, provider: Provider) -> None:
    since, opened = len(provider.seen), set()
    everything = routes(lectr)
    assert len(everything) > 40
    with httpx.Client(base_url=f"http://127.0.0.1:{lectr.port}", follow_redirects=False) as client:
        for method, path in everything:
            answer = client.request(method, path, headers={"accept": "text/html"})
            door = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            if door or answer.status_code == 401 or (path.startswith("/v1") and answer.status_code == 404):
                continue
            if path.startswith(STATIC) and answer.status_code == 404:
                continue
            opened.add(f"{method} {path}")
    assert opened == PUBLIC
    assert len(provider.seen) == since


def test_t47_health_is_numbers_and_states_only(lectr: Lectr) -> None:
    document = httpx.get(f"http://127.0.0.1:{lectr.port}/health").json()
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    assert texts.keys() <= {"status", "version", "database"}
    assert texts.pop("version")[0].isdigit()
    assert all(re.fullmatch("[a-z_]{2,20}", value) for value in texts.values())


PATHS = ("/", "/nowhere", "/health", "/api/requests", "/api/nowhere", "/api", "/sign-in", "/static/x.js",
         "/static/", "/requests/../x", "/%00", "/%ff", "/settings", "/openai/deployments/x", "/v2/x",
         "/api/requests/%0a")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_t40_every_answer_has_its_headers_whatever_went_wrong(lectr: Lectr, path: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{lectr.port}") as client:
        for method in (method for method in METHODS if method.isupper() and method.isalpha() and method != "PRI"):
            if method == "CONNECT":
                continue
            for headers in ({}, {"accept": "text/html"}, {"hx-request": "true"}, {"content-type": "x/\x7f"}):
                if "\x7f" in str(headers):
                    continue
                answer = client.request(method, path, headers=headers)
                assert answer.status_code < 500, (method, answer.text[:200])
                if answer.status_code == 400 and "content-security-policy" not in answer.headers:
                    assert answer.headers["x-content-type-options"] == "nosniff"
                    continue
                for name, value in CONSOLE_HEADERS.items():
                    assert answer.headers.get(name) == value, (method, path, name)
                assert "no-store" in answer.headers["cache-control"]
                assert "server" not in answer.headers


HOSTS = ("x/", "x?", "x#", "evil@a", "", "a b", "[", "[::1", "a:b:c", "a:99999", "\xe9", "a\\b", "%00", "a" * 5000)


@pytest.mark.parametrize("host", HOSTS)
def test_t05_a_strange_host_opens_nothing_and_breaks_nothing(lectr: Lectr, host: str) -> None:
    """Threat 5: what is asked for is decided by the path alone."""
    paths = ("/", "/api/requests", "/settings", "/nowhere", "/v1/files", "/v1/chat/completions", "/openai/x", "/chat/x")
    lines = [(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").encode("latin-1") for path in paths]
    for path, answer in zip(paths, asyncio.run(exchange_all(lectr.port, lines, 1.0)), strict=True):
        assert all(status in (303, 400, 401, 404) for status in statuses(answer)), (path, answer[:300])
        assert statuses(answer)


def test_options_and_cross_origin_requests_get_no_permission(lectr: Lectr) -> None:
    headers = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    for path in ("/v1/chat/completions", "/api/requests", "/", "/settings", "/health"):
        for method in ("OPTIONS", "GET", "POST"):
            answer = httpx.request(method, f"http://127.0.0.1:{lectr.port}{path}", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_settings_object_for_the_crawl(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> None:
    """create_app alone opens nothing: the crawl above may build a second one."""
    settings = data_settings(tmp_path_factory.mktemp("unused"), **upstream_settings(provider.address))
    create_app(settings)
    assert not settings.data_dir.exists()
