"""Deny lists: what never goes upstream, what never comes back; all else passes in its order."""

from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.domain import Headers
from app.upstream.headers import answer_headers, request_headers

CATALOG: Catalog = load_catalog(Path(__file__).resolve().parents[2] / "registry")


def sent(
    headers: Headers, provider: str = "openai", endpoint: str = "chat.completions", key: str = "sk-own"
) -> Headers:
    return request_headers(headers, CATALOG.providers[provider], endpoint, key, b"api.test", 7)


@pytest.mark.parametrize(
    "name",
    [
        b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-authorization",
        b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"host", b"content-length",
        b"accept-encoding", b"expect", b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-new",
        b"x-lectr-key", b"x-lectr-new", b"ocp-apim-subscription-key",
    ],
)  # fmt: skip
def test_what_never_goes_upstream(name: bytes) -> None:
    assert b"CANARY" not in dict(sent([(name, b"CANARY")])).values()


def test_what_the_caller_names_in_connection_stays_here() -> None:
    names = [name for name, _ in sent([(b"connection", b"X-One, close"), (b"x-one", b"1"), (b"x-two", b"2")])]
    assert b"x-one" not in names
    assert b"x-two" in names


def test_all_else_passes_in_its_order_with_host_first_and_framing_last() -> None:
    passing = [(b"openai-beta", b"a"), (b"x-tomorrow", b"b"), (b"user-agent", b"c"), (b"x-tomorrow", b"d")]
    fields = sent(passing)
    assert fields[0] == (b"host", b"api.test")
    assert fields[1:5] == passing
    assert fields[-1] == (b"content-length", b"7")
    assert (b"accept-encoding", b"identity") in fields


def test_a_body_of_unknown_length_is_chunked() -> None:
    fields = request_headers([], CATALOG.providers["openai"], "other", "sk", b"h", None)
    assert fields[-1] == (b"transfer-encoding", b"chunked")
    assert not any(name == b"content-length" for name, _ in fields)


@pytest.mark.parametrize(
    ("provider", "endpoint", "key", "expected"),
    [
        ("openai", "chat.completions", "sk-1", (b"authorization", b"Bearer sk-1")),
        ("groq", "chat.completions", "gsk_1", (b"authorization", b"Bearer gsk_1")),
        ("anthropic", "messages", "sk-ant-api03-1", (b"x-api-key", b"sk-ant-api03-1")),
        ("anthropic", "messages", "sk-ant-oat01-1", (b"authorization", b"Bearer sk-ant-oat01-1")),
        ("azure", "chat.completions", "0123456789abcdef", (b"api-key", b"0123456789abcdef")),
        ("azure", "chat.completions", "eyJ0.e.s", (b"authorization", b"Bearer eyJ0.e.s")),
    ],
)
def test_the_key_goes_where_its_provider_looks(
    provider: str, endpoint: str, key: str, expected: tuple[bytes, bytes]
) -> None:
    places = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
    assert [field for field in sent([], provider, endpoint, key) if field[0] in places] == [expected]


def test_a_default_field_of_a_provider_yields_to_the_callers() -> None:
    assert (b"anthropic-version", b"2023-06-01") in sent([], "anthropic", "messages")
    own = (b"anthropic-version", b"2026-01-01")
    assert [field for field in sent([own], "anthropic", "messages") if field[0] == own[0]] == [own]


def test_what_comes_back() -> None:
    answer = [
        (b"content-type", b"application/json"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"set-cookie", b"a=b"),
        (b"x-lectr-cost-usd", b"forged"),
        (b"retry-after", b"3"),
        (b"x-request-id", b"req_1"),
        (b"x-bad", b"a\x01b"),
    ]
    kept = [(b"content-type", b"application/json"), (b"retry-after", b"3"), (b"x-request-id", b"req_1")]
    assert answer_headers(answer, keep_length=False) == kept
    assert (b"content-length", b"5") in answer_headers(answer, keep_length=True)
