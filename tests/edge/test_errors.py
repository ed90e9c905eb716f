"""The shape of Lectr's own errors: OpenAI's, or Anthropic's under /v1/messages."""

import pytest

from tests.edge.asking import asking
from tests.running import Lectr

ANTHROPIC_PATHS = ("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches/x", "/v1/v1/messages")
OPENAI_PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/files", "/v1/messagesx")


@pytest.mark.parametrize("path", OPENAI_PATHS)
def test_openais_shape(lectr: Lectr, path: str) -> None:
    answer = lectr.call(path, asking(), key=None)
    assert answer.status == 401
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"message", "type", "code"}
    assert answer.json["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("path", ANTHROPIC_PATHS)
def test_anthropics_shape(lectr: Lectr, path: str) -> None:
    answer = lectr.call(path, asking(), key=None)
    assert (answer.status, answer.json["type"]) == (401, "error")
    assert answer.json["error"]["type"] == "authentication_error"
    assert "X-Lectr-Key" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "type", "code"),
    [
        ("/v1/chat/completions", b"{", {}, 400, "invalid_request_error", "invalid_request"),
        ("/v1/messages", b"{", {}, 400, "invalid_request_error", "invalid_request"),
        ("/v1/messages", b"x", {"content-encoding": "gzip"}, 415, "invalid_request_error", "unsupported_encoding"),
        ("/v1/messages", b"x" * (1024 * 1024 + 1), {}, 413, "request_too_large", "request_too_large"),
        (
            "/v1/messages",
            asking(),
            {"x-lectr-provider": "groq"},
            400,
            "invalid_request_error",
            "endpoint_not_supported",
        ),
        ("/v1/chat/completions", asking(None), {}, 400, "invalid_request_error", "invalid_request"),
    ],
)
def test_status_type_and_code(
    lectr: Lectr, path: str, body: object, headers: dict[str, str], status: int, type: str, code: str
) -> None:
    answer = lectr.call(path, body, headers)
    error = answer.json["error"]
    assert (answer.status, error["type"], error["code"]) == (status, type, code)
    assert ("type" in answer.json) == path.startswith("/v1/messages")
    assert error["message"].endswith((".", "`.", "`"))
    row = lectr.row(answer.id)
    assert (row["status"], row["error_code"], row["outcome"]) == (status, code, "rejected")
    assert (row["cost_picousd"], row["cost_reason"], row["usage_source"]) == (0, None, "none")


def test_without_an_azure_endpoint_the_sentence_says_where_to_set_it(start_lectr: object) -> None:
    with start_lectr(azure_endpoint="") as lectr:  # type: ignore[operator]
        answer = lectr.call(body=asking(), headers={"x-lectr-provider": "azure"})
        assert (answer.status, answer.code) == (400, "azure_config_missing")
        assert "LECTR_AZURE_ENDPOINT" in answer.json["error"]["message"]
        assert lectr.row(answer.id)["provider"] == "azure"
