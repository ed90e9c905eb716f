"""The admin API answers nobody without the token, in OpenAI's shape, and carries security headers whatever happens."""

from typing import Any

import httpx
import pytest

from app.console.security import CONSOLE_HEADERS
from tests.api.serving import TOKEN, Lectr

PATHS = (
    "/api/requests",
    "/api/requests?format=csv",
    "/api/requests/019c63bf-ef68-76ce-ab3d-093673c2f6f0",
    "/api/detect?model=gpt-4o",
    "/api/models",
    "/api/models/gpt-4o",
    "/api/recommendations",
    "/api/overrides",
    "/api/self-check",
    "/api/usage",
    "/api/openapi.json",
    "/api/docs/openapi.json",
)
OURS = [path for path in PATHS if not path.startswith("/api/docs")]
"""Without the framework's own copy of the OpenAPI document."""
WRONG: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"authorization": "Bearer"},
    "other scheme": {"authorization": f"Basic {TOKEN}"},
    "beginning": {"authorization": f"Bearer {TOKEN[:-1]}"},
    "longer": {"authorization": f"Bearer {TOKEN}x"},
    "bytes": {"authorization": "Bearer \u00e4\u00f6"},
}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, after its shape has been looked at."""
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert list(document) == ["error"]
    assert list(document["error"]) == ["message", "type", "code"]
    assert document["error"]["message"]
    return dict(document["error"])


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_every_route_is_401(lectr: Lectr, path: str) -> None:
    answer = httpx.get(lectr.url + path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    told = error_of(answer)
    assert (told["type"], told["code"]) == ("authentication_error", "invalid_admin_token")


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_what_is_not_quite_the_token_is_refused(lectr: Lectr, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = httpx.get(f"{lectr.url}/api/usage", headers=encoded)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_admin_token")
    assert TOKEN not in answer.text


def test_changes_need_the_token_too(lectr: Lectr) -> None:
    body = {"kind": "alias", "provider": "openai", "model": "gpt-4o", "alias": "mine"}
    assert httpx.post(f"{lectr.url}/api/overrides", json=body).status_code == 401
    assert httpx.delete(f"{lectr.url}/api/overrides/1").status_code == 401
    assert lectr.json("/api/overrides") == {"overrides": []}


def test_a_lectr_key_is_no_admin_token(lectr: Lectr) -> None:
    answer = httpx.get(f"{lectr.url}/api/requests", headers={"authorization": f"Bearer {lectr.key}"})
    assert answer.status_code == 401


def test_the_scheme_may_be_written_in_any_case(lectr: Lectr) -> None:
    answer = httpx.get(f"{lectr.url}/api/usage", headers={"authorization": f"bearer {TOKEN}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", [path for path in OURS if "019c" not in path])
def test_head_is_get_without_the_body(lectr: Lectr, path: str) -> None:
    got, head = lectr.get(path), lectr.admin.head(path)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", OURS)
def test_an_unknown_parameter_is_refused(lectr: Lectr, path: str) -> None:
    answer = lectr.admin.get(path + ("&" if "?" in path else "?") + "modelx=gpt-4o")
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_request")
    assert "modelx" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/requests/no-id", 404, "not_found"),
        ("POST", "/api/requests", 405, "method_not_allowed"),
        ("PUT", "/api/overrides", 405, "method_not_allowed"),
        ("GET", "/api/usage?by=colour", 400, "invalid_request"),
    ],
)
def test_errors_have_openais_shape_and_every_security_header(
    lectr: Lectr, method: str, path: str, status: int, code: str
) -> None:
    answer = lectr.admin.request(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert_secure(answer)
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_a_fault_of_our_own_is_500_and_says_nothing_of_its_inside(
    lectr: Lectr, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("app.api.usage.usage_by", broken)
    answer = lectr.get("/api/usage")
    assert answer.status_code == 500
    assert (error_of(answer)["type"], error_of(answer)["code"]) == ("api_error", "internal_error")
    assert "secret inside" not in answer.text
    assert "secret inside" in caplog.text
    assert_secure(answer)


@pytest.mark.parametrize("path", ["/api/usage", "/health", "/nothing", "/sign-in", "/chat/completions"])
def test_every_answer_outside_v1_is_secure(lectr: Lectr, path: str) -> None:
    assert_secure(lectr.get(path))
    assert_secure(httpx.get(lectr.url + path))


def assert_secure(answer: httpx.Response) -> None:
    for name, value in CONSOLE_HEADERS.items():
        assert answer.headers[name] == value
    assert "cache-control" in answer.headers
    assert "server" not in answer.headers
