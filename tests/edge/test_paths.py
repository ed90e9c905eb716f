"""Product.md section 1: where each path goes, what is folded, what is refused, and the 404 that helps."""

import pytest

from tests.edge.asking import MODELS, SHAPES, asking
from tests.edge.provider import Provider
from tests.edge.test_auth import mark
from tests.running import Lectr, Raw

PREFIX = {
    "openai": "/openai/v1",
    "anthropic": "/anthropic/v1",
    "groq": "/groq/openai/v1",
    "gemini": "/gemini/v1beta/openai",
}
ENDPOINTS = {
    "/v1/chat/completions": "chat.completions",
    "/v1/responses": "responses",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages.count_tokens",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images.generations",
    "/v1/audio/speech": "audio.speech",
    "/v1/audio/transcriptions": "audio.transcriptions",
    "/v1/audio/translations": "audio.translations",
}
HAS = {
    "openai": [path for path in ENDPOINTS if not path.startswith("/v1/messages")],
    "anthropic": ["/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions"],
    "groq": [*(path for path in ENDPOINTS if path.startswith("/v1/audio")), "/v1/chat/completions", "/v1/responses"],
    "gemini": ["/v1/chat/completions", "/v1/embeddings", "/v1/images/generations"],
}


@pytest.mark.parametrize("company", MODELS)
@pytest.mark.parametrize("path", ENDPOINTS)
def test_each_endpoint_of_each_provider(lectr: Lectr, provider: Provider, company: str, path: str) -> None:
    before, headers = len(provider.seen), mark(company, path)
    answer = lectr.call(path, asking(MODELS[company]), headers, provider_key=SHAPES[company])
    row = lectr.row(answer.id)
    assert (row["endpoint"], row["provider"]) == (ENDPOINTS[path], company)
    if path in HAS[company]:
        assert answer.status == 200
        assert provider.asked("x-mark", headers["x-mark"]).target == PREFIX[company] + path.removeprefix("/v1")
        return
    assert answer.status == 400
    assert answer.json["error"]["code"] == "endpoint_not_supported"
    message = answer.json["error"]["message"]
    assert all((other in message) == (path in HAS[other]) for other in HAS if other != company)
    assert len(provider.seen) == before
    assert (row["outcome"], row["cost_picousd"], row["error_code"]) == ("rejected", 0, "endpoint_not_supported")


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/v1/v1/chat/completions", "/openai/v1/chat/completions"),
        ("/v1/v1/v1/chat/completions?a=b", "/openai/v1/chat/completions?a=b"),
        ("/v1/chat/completions?key=secret", "/openai/v1/chat/completions"),
        ("/v1/chat/completions?a=1&key=secret&b=%2F", "/openai/v1/chat/completions?a=1&b=%2F"),
        ("/v1/chat/completions?KEY=secret&%6bey=secret&monkey=1", "/openai/v1/chat/completions?monkey=1"),
    ],
)
def test_what_is_folded_and_taken_out(lectr: Lectr, provider: Provider, target: str, seen: str) -> None:
    headers = mark(target)
    answer = lectr.call(target, asking(), headers)
    assert answer.status == 200
    assert provider.asked("x-mark", headers["x-mark"]).target == seen
    assert lectr.row(answer.id)["endpoint"] == "chat.completions"


@pytest.mark.parametrize(
    ("target", "body", "seen", "model"),
    [
        ("/v1/deployments/my-gpt/chat/completions", asking(None), "/azure/openai/v1/chat/completions", "my-gpt"),
        (
            "/v1/deployments/my-gpt/chat/completions?api-version=2024-10-21",
            asking("other"),
            "/azure/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
            "other",
        ),
        (
            "/v1/deployments/my%20gpt/embeddings?api-version=2024-10-21",
            {"input": "x"},
            "/azure/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21",
            "my gpt",
        ),
        (
            "/v1/deployments/d/responses?api-version=preview",
            asking("d"),
            "/azure/openai/v1/responses?api-version=preview",
            "d",
        ),
        (
            "/v1/responses?api-version=2025-03-01-preview",
            asking("d"),
            "/azure/openai/responses?api-version=2025-03-01-preview",
            "d",
        ),
        (
            "/v1/chat/completions?api-version=2024-10-21",
            asking("a b"),
            "/azure/openai/deployments/a%20b/chat/completions?api-version=2024-10-21",
            "a b",
        ),
        (
            "/v1/chat/completions?api-version=2024-10-21",
            asking("../x"),
            "/azure/openai/deployments/..%2Fx/chat/completions?api-version=2024-10-21",
            "../x",
        ),
        ("/v1/messages", asking("claude-x"), "/azure/anthropic/v1/messages", "claude-x"),
    ],
)
def test_azures_two_forms(
    lectr: Lectr, provider: Provider, target: str, body: dict[str, object], seen: str, model: str
) -> None:
    headers = mark(target) | ({} if "/deployments/" in target else {"x-lectr-provider": "azure"})
    answer = lectr.call(target, body, headers, provider_key="eyJtoken")
    assert (answer.status, answer.header("x-lectr-provider")) == (200, "azure")
    assert provider.asked("x-mark", headers["x-mark"]).target == seen
    row = lectr.row(answer.id)
    assert (row["provider"], row["detected_by"], row["request_model"]) == ("azure", "header", model)


def test_a_deployment_path_is_azures_whatever_nonsense_the_header_names(lectr: Lectr) -> None:
    headers = {"x-lectr-provider": "nonsense"}
    row = lectr.row(lectr.call("/v1/deployments/d/chat/completions", asking("gpt-4o"), headers, provider_key="abc").id)
    assert (row["provider"], row["flags"]) == ("azure", ["override_ignored"])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/batches/b_1", "/v1/responses/input_tokens", "/v1/a%20b/%C3%A9;x=1", "/v1/"])
def test_any_other_path_and_method_goes_on_and_is_written_down(
    lectr: Lectr, provider: Provider, method: str, path: str
) -> None:
    headers = mark(method, path)
    body = None if method in ("GET", "HEAD") else asking(None)
    answer = lectr.call(f"{path}?limit=2", body, headers, method=method)
    assert answer.status == 200
    seen = provider.asked("x-mark", headers["x-mark"])
    assert (seen.method, seen.target) == (method, f"/openai{path}?limit=2")
    assert answer.header("x-lectr-cost-usd") is None
    row = lectr.row(answer.id)
    assert (row["endpoint"], row["cost_picousd"], row["request_model"]) == ("other", 0, None)
    assert (row["outcome"], row["usage_source"]) == ("ok", "none")


@pytest.mark.parametrize(
    ("headers", "key", "provider_key", "wanted", "by"),
    [
        ({"x-lectr-provider": "gemini"}, "plain", "AIzaX", "gemini", "header"),
        ({}, "groq", "gsk_x", "groq", "key_default"),
        ({}, "plain", "sk-ant-x", "anthropic", "key_shape"),
        ({}, "plain", "xyz", "openai", "default"),
    ],
)
def test_who_gets_a_path_without_a_model(
    lectr: Lectr, headers: dict[str, str], key: str, provider_key: str, wanted: str, by: str
) -> None:
    row = lectr.row(lectr.call("/v1/files", headers=headers, key=key, provider_key=provider_key).id)
    assert (row["provider"], row["detected_by"]) == (wanted, by)


def test_every_messages_path_without_a_model_is_anthropics(lectr: Lectr, provider: Provider) -> None:
    headers = mark("batches")
    answer = lectr.call("/v1/messages/batches/b_1/results", headers=headers, provider_key="other")
    assert answer.header("x-lectr-provider") == "anthropic"
    assert provider.asked("x-mark", headers["x-mark"]).target == "/anthropic/v1/messages/batches/b_1/results"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/a/..",
        "/v1//chat/completions",
        "/v1/chat//completions",
        "/v1/%2e%2e/x",
        "/v1/%2E/x",
        "/v1/a%2fb",
        "/v1/a%2Fb",
        "/v1/a%5cb",
        "/v1/a\\b",
        "/v1/..%2f",
        "/v1/chat/completions/..;/x",
    ],
)
def test_paths_that_two_could_read_differently_are_refused(lectr: Lectr, provider: Provider, path: str) -> None:
    before = len(provider.seen)
    with Raw(lectr.port) as raw:
        said = raw.send(lectr.raw(path, asking())).read_until(b"}}")
    assert b" 400 " in said.split(b"\r\n")[0]
    assert b'"code":"invalid_request"' in said
    assert len(provider.seen) == before
    row = lectr.row(said.split(b"x-lectr-request-id: ")[1][:36].decode())
    assert (row["status"], row["outcome"], row["endpoint"], row["error_source"]) == (400, "rejected", "other", "client")


@pytest.mark.parametrize(
    ("path", "needs"),
    [
        ("/openai/deployments/d/chat/completions", ["AzureOpenAI", "base_url", "{base}/v1"]),
        ("/v1beta/models/gemini-2.5-flash:generateContent", ["{base}/v1"]),
        ("/v1beta/openai/chat/completions", ["{base}/v1"]),
        ("/chat/completions", ["{base}/v1"]),
        ("/responses", ["{base}/v1"]),
        ("/embeddings", ["{base}/v1"]),
        ("/messages", ["{base}"]),
        ("/v1evil", ["{base}/v1"]),
        ("/v1", ["{base}/v1"]),
        ("/nonsense", ["{base}/v1"]),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_path_that_is_not_ours_names_the_right_base_url(
    lectr: Lectr, provider: Provider, method: str, path: str, needs: list[str]
) -> None:
    before = len(provider.seen)
    answer = lectr.call(path, asking() if method == "POST" else None, method=method)
    assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
    message = answer.json["error"]["message"]
    for need in needs:
        assert need.format(base=f"http://127.0.0.1:{lectr.port}") in message
    assert len(provider.seen) == before


@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-realtime", "/v1/responses", "/v1/chat/completions"])
def test_a_websocket_is_refused_with_a_sentence(lectr: Lectr, provider: Provider, path: str) -> None:
    before = len(provider.seen)
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    answer = lectr.call(path, headers=headers)
    assert (answer.status, answer.code) == (426, "websocket_not_supported")
    assert len(provider.seen) == before
    assert lectr.row(answer.id)["status"] == 426


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_realtime_is_refused_also_without_an_upgrade(lectr: Lectr, provider: Provider, method: str) -> None:
    before = len(provider.seen)
    answer = lectr.call("/v1/realtime/sessions", {} if method == "POST" else None, method=method)
    assert (answer.status, answer.code) == (426, "websocket_not_supported")
    assert len(provider.seen) == before


def test_trace_would_give_the_boxs_key_back_and_is_refused(lectr: Lectr, provider: Provider) -> None:
    before = len(provider.seen)
    answer = lectr.call("/v1/files", method="TRACE")
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert len(provider.seen) == before


def test_an_absolute_target_is_read_by_its_path(lectr: Lectr, provider: Provider) -> None:
    headers = mark("absolute")
    with Raw(lectr.port) as raw:
        assert b"HTTP/1.1 200" in raw.send(lectr.raw("http://evil.test/v1/responses", asking(), headers)).read_until(
            b"}}"
        )
    assert provider.asked("x-mark", headers["x-mark"]).target == "/openai/v1/responses"


@pytest.mark.parametrize("host", ["evil@a", "x/v1/models?", "x#", "a b", "", 'x"}{'])
def test_a_strange_host_opens_nothing(lectr: Lectr, provider: Provider, host: str) -> None:
    before = len(provider.seen)
    for target, key in (
        ("/v1/models", "wrong"),
        ("/v1/files", "lc_key_wrong"),
        ("/api/requests", "wrong"),
        ("/v1/", ""),
    ):
        with Raw(lectr.port) as raw:
            request = lectr.raw(target, {}, {"x-lectr-key": key}, method="GET").replace(b"lectr.test", host.encode())
            said = raw.send(request).read_until(b"}")
        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
        assert b"content-type: application/json" in said
    assert len(provider.seen) == before
