"""Where a request goes, for every provider and both forms of Azure's URLs."""

from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.domain import Headers, InboundRequest, KeyIdentity, Target
from app.errors import RequestRejected
from app.settings import Settings
from app.upstream.targets import azure_base, build_target, endpoint_not_supported, missing_provider_key

CATALOG: Catalog = load_catalog(Path(__file__).resolve().parents[2] / "registry")
AZURE = "https://team.openai.azure.com"


def asked(path: str = "/v1/chat/completions", endpoint: str = "chat.completions", **more: object) -> InboundRequest:
    fields = {
        "id": "i", "started_at_us": 0, "method": "POST", "query": "", "headers": [], "body": b'{"model":"m"}',
        "key": KeyIdentity(1, "k"), "model": "gpt-4o",
    }  # fmt: skip
    return InboundRequest(path=path, endpoint=endpoint, **{**fields, **more})  # type: ignore[arg-type]


def target(
    provider: str,
    request: InboundRequest,
    *,
    version: str = "",
    endpoint: str = AZURE,
    asks_usage: bool = False,
    streamed_body: bool = False,
    **settings: str,
) -> Target:
    return build_target(
        request,
        CATALOG.providers[provider],
        "key",
        Settings.from_env({"LECTR_DATA_DIR": "/nowhere", **settings}),
        azure_endpoint=endpoint,
        azure_api_version=version,
        asks_usage=asks_usage,
        streamed_body=streamed_body,
    )


@pytest.mark.parametrize(
    ("provider", "path", "endpoint", "url"),
    [
        ("openai", "/v1/chat/completions", "chat.completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "/v1/files/f1/content", "other", "https://api.openai.com/v1/files/f1/content"),
        ("anthropic", "/v1/messages", "messages", "https://api.anthropic.com/v1/messages"),
        ("groq", "/v1/chat/completions", "chat.completions", "https://api.groq.com/openai/v1/chat/completions"),
        (
            "gemini",
            "/v1/chat/completions",
            "chat.completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        ),
    ],
)
def test_each_providers_base(provider: str, path: str, endpoint: str, url: str) -> None:
    found = target(provider, asked(path, endpoint))
    assert found.url == url
    assert found.headers[0] == (b"host", url.split("/")[2].encode())


def test_another_base_is_taken_from_the_settings_and_the_query_goes_along() -> None:
    found = target("openai", asked(query="a=1&b=%2F"), LECTR_OPENAI_BASE_URL="http://127.0.0.1:9")
    assert found.url == "http://127.0.0.1:9/v1/chat/completions?a=1&b=%2F"
    assert found.headers[0] == (b"host", b"127.0.0.1:9")


@pytest.mark.parametrize(
    ("request_", "version", "path"),
    [
        (asked(), "", "/openai/v1/chat/completions"),
        (asked(), "v1", "/openai/v1/chat/completions?api-version=v1"),
        (asked(), "preview", "/openai/v1/chat/completions?api-version=preview"),
        (asked(), "2024-10-21", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        (
            asked(query="api-version=2023-05-15"),
            "v1",
            "/openai/deployments/gpt-4o/chat/completions?api-version=2023-05-15",
        ),
        (
            asked(deployment="my chat/é"),
            "2024-10-21",
            "/openai/deployments/my%20chat%2F%C3%A9/chat/completions?api-version=2024-10-21",
        ),
        (asked("/v1/responses", "responses"), "2025-03-01-preview", "/openai/responses?api-version=2025-03-01-preview"),
        (asked("/v1/messages", "messages"), "2024-10-21", "/anthropic/v1/messages"),
    ],
)
def test_both_forms_of_azures_urls(request_: InboundRequest, version: str, path: str) -> None:
    assert target("azure", request_, version=version).url == AZURE + path


@pytest.mark.parametrize("pasted", [AZURE, AZURE + "/", AZURE + "/openai", f" {AZURE}/openai/v1/ "])
def test_an_azure_endpoint_as_people_paste_it(pasted: str) -> None:
    assert azure_base(pasted) == AZURE


def test_azure_without_an_endpoint_says_how_to_set_one() -> None:
    with pytest.raises(RequestRejected) as caught:
        target("azure", asked(), endpoint="")
    assert (caught.value.status, caught.value.code) == (400, "azure_config_missing")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_deployment_is_never_a_step_in_the_path(name: str) -> None:
    with pytest.raises(RequestRejected):
        target("azure", asked(deployment=name), version="2024-10-21")


BODY = b'{"model":"m","stream":true}'


@pytest.mark.parametrize(
    ("provider", "more", "added"),
    [
        ("openai", {}, True),
        ("openai", {"asks_usage": True}, False),
        ("openai", {"stream": False}, False),
        ("openai", {"path": "/v1/responses", "endpoint": "responses"}, False),
        ("anthropic", {"path": "/v1/messages", "endpoint": "messages"}, False),
        ("azure", {"version": "2024-10-21"}, True),
        ("azure", {"version": "2024-02-01"}, False),
        ("azure", {"version": "v1"}, True),
    ],
)
def test_usage_is_asked_for_only_where_the_caller_did_not_and_the_provider_takes_it(
    provider: str, more: dict[str, object], added: bool
) -> None:
    options = {name: more.pop(name) for name in ("asks_usage", "version") if name in (more := dict(more))}
    found = target(provider, asked(**{"stream": True, "body": BODY, **more}), **options)  # type: ignore[arg-type]
    assert found.usage_added is added
    assert (found.body is BODY) is not added
    assert dict(found.headers)[b"content-length"] == b"%d" % len(found.body)


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        ([(b"content-length", b"300")], (b"content-length", b"300")),
        ([(b"transfer-encoding", b"chunked")], (b"transfer-encoding", b"chunked")),
        ([], (b"transfer-encoding", b"chunked")),
    ],
)
def test_an_upload_keeps_the_framing_it_came_with(headers: Headers, framing: tuple[bytes, bytes]) -> None:
    found = target("openai", asked("/v1/files", "other", headers=headers, body=b""), streamed_body=True)
    assert found.headers[-1] == framing


def test_what_cannot_be_served_is_said_with_the_way_out() -> None:
    groq = CATALOG.providers["groq"]
    unsupported = endpoint_not_supported(groq, asked("/v1/messages", "messages"), CATALOG)
    assert (unsupported.status, unsupported.code) == (400, "endpoint_not_supported")
    assert "anthropic" in str(unsupported)
    missing = missing_provider_key(groq)
    assert (missing.status, missing.code) == (401, "missing_provider_key")
    assert str(groq.key_setting) in str(missing)
