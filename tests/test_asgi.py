"""create_app builds everything when the server starts and nothing before, and each part can be replaced."""

import shutil
import socket
from pathlib import Path

import httpx
import msgspec
import pytest

from app.asgi import REGISTRY_DIR, create_app, from_env, running
from app.catalog.load import load_catalog
from app.errors import LedgerError, RegistryError, SettingsError
from app.settings import Settings
from tests.api.serving import Lectr, serving_app, serving_lectr, settings_for, wait_until

QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "data")


def asgi(settings: Settings) -> httpx.AsyncClient:
    """A client of an app whose server has not started it."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(settings)), base_url="http://lectr")


def test_building_the_app_touches_no_disk(settings: Settings) -> None:
    create_app(settings)
    assert not settings.data_dir.exists()


def test_a_wrong_registry_is_known_before_the_server_starts(settings: Settings, tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    shutil.copytree(REGISTRY_DIR, registry)
    (registry / "providers" / "groq.toml").write_text("name = 3\n")
    with pytest.raises(RegistryError, match="groq"):
        create_app(settings, registry_dir=registry)


def test_the_environment_makes_an_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LECTR_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("LECTR_ADMIN_TOKEN", "t")
    assert from_env()
    monkeypatch.setenv("LECTR_MAX_BODY_MB", "none")
    with pytest.raises(Exception, match="LECTR_MAX_BODY_MB"):
        from_env()


@pytest.mark.anyio
async def test_a_folder_that_cannot_be_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError):
        async with running(Settings(data_dir=tmp_path / "file" / "data"), load_catalog(REGISTRY_DIR)):
            raise AssertionError("it started")


@pytest.mark.anyio
async def test_before_the_start_programs_are_told_to_wait(settings: Settings) -> None:
    async with asgi(settings) as client:
        answer = await client.post("/v1/chat/completions", json=QUESTION)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "starting")
    assert answer.headers["retry-after"] == "1"


def test_a_transport_and_a_clock_of_its_own(settings: Settings) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER)

    at_us = 1_795_000_000_123_456
    with serving_lectr(settings) as first:
        key = first.key
    with (
        serving_app(settings, transport=httpx.MockTransport(answer), clock=lambda: at_us) as url,
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {settings.admin_token}"}) as admin,
    ):
        lectr = Lectr(url, settings, key, admin)
        with lectr.program() as program:
            got = program.post("/v1/chat/completions", json=QUESTION)
        assert got.json() == ANSWER
        row = lectr.row(got)
    assert [str(request.url) for request in asked] == [f"{settings.openai_base_url}/v1/chat/completions"]
    assert row["started_at"] == "2026-11-18T11:06:40.123456Z"
    assert row["cost_usd"] == "0.00000435"


@pytest.fixture(scope="module")
def lectr(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving_lectr(settings_for(tmp_path_factory.mktemp("asgi") / "data")) as running_lectr:
        yield running_lectr


def test_a_person_gets_a_page_and_a_program_gets_json(lectr: Lectr) -> None:
    page = httpx.get(f"{lectr.url}/nowhere", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for accept in ("*/*", "application/json"):
        answer = httpx.get(f"{lectr.url}/nowhere", headers={"accept": accept})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/chat/completions", "set it to {url}/v1"),
        ("/embeddings", "set it to {url}/v1"),
        ("/messages", "set it to {url}/v1"),
        ("/openai/deployments/prod/chat/completions", "base_url to {url}/v1"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", "base_url to {url}/v1"),
        ("/v1evil", "{url}/v1"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_is_nearly_right_is_told_the_base_url(lectr: Lectr, method: str, path: str, hint: str) -> None:
    answer = httpx.request(method, lectr.url + path, headers={"accept": "text/html"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert hint.format(url=lectr.url) in answer.json()["error"]["message"]


def test_health_is_open_and_has_numbers_alone(lectr: Lectr) -> None:
    document = httpx.get(f"{lectr.url}/health").json()
    assert document.pop("status") == "ok"
    assert document.pop("version") == "0.1.0"
    assert document.pop("troubles") == []
    assert document.pop("database") == ("postgresql" if lectr.settings.database_url else "sqlite")
    assert all(isinstance(value, int | float) for value in document.values()), document


def test_a_websocket_is_refused(lectr: Lectr) -> None:
    url = httpx.URL(lectr.url)
    with socket.create_connection((url.host, url.port or 0), timeout=5) as connection:
        connection.sendall(
            b"GET /v1/realtime HTTP/1.1\r\nHost: lectr\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"X-Lectr-Key: " + lectr.key.encode() + b"\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 426 ")


def test_the_demo_is_marked_on_every_answer(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings_for(tmp_path / "data"), demo=True)
    with serving_app(settings) as url:
        for path in ("/health", "/v1/models", "/sign-in", "/api/usage", "/static/none", "/none"):
            assert httpx.get(url + path).headers["x-lectr-demo"] == "1"
    with serving_app(msgspec.structs.replace(settings, demo=False)) as url:
        assert "x-lectr-demo" not in httpx.get(f"{url}/health").headers


def test_two_apps_in_one_process_share_nothing(tmp_path: Path) -> None:
    one, two = settings_for(tmp_path / "one"), settings_for(tmp_path / "two", admin_token="another")
    with serving_lectr(one) as first, serving_lectr(two) as second:
        assert first.get("/api/usage").status_code == 200
        assert httpx.get(f"{second.url}/api/usage", headers=dict(first.admin.headers)).status_code == 401
        with first.program() as program:
            wait_until(lambda: program.get("/v1/models").status_code == 200)
        foreign = httpx.get(f"{second.url}/v1/models", headers={"x-lectr-key": first.key})
        assert foreign.json()["error"]["code"] == "invalid_lectr_key"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PORT", "abc", "PORT is 'abc': write a port between 0 and 65535"),
        ("PORT", "-1", "PORT is '-1': write a port between 0 and 65535"),
        ("LECTR_WORKERS", "x", "LECTR_WORKERS is 'x': write a whole number, 1 or more"),
        ("LECTR_IDLE_TIMEOUT_S", "soon", "LECTR_IDLE_TIMEOUT_S is 'soon': write a number of seconds greater than 0"),
    ],
)
def test_a_setting_that_is_no_number_is_told_what_to_write(variable: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({variable: value})
    assert str(refused.value) == told
