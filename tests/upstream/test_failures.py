"""Which fault of the transport is which error of Lectr's, and that no text of a provider is kept."""

import httpx
import pytest

from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError
from app.upstream.failures import ErrorReader, classify, error_code


@pytest.mark.parametrize(
    ("error", "kind", "status", "sent"),
    [
        (httpx.ConnectError("x"), ProviderUnreachable, 503, False),
        (httpx.ConnectTimeout("x"), ProviderUnreachable, 503, False),
        (httpx.ReadTimeout("x"), ProviderTimeout, 504, True),
        (httpx.WriteTimeout("x"), ProviderTimeout, 504, True),
        (httpx.ReadError("x"), ProviderReset, 502, True),
        (httpx.WriteError("x"), ProviderReset, 502, True),
        (httpx.RemoteProtocolError("x"), ProviderBadResponse, 502, True),
        (httpx.InvalidURL("x"), ProviderBadResponse, 502, True),
        (OSError("x"), ProviderBadResponse, 502, True),
    ],
)
def test_each_fault_has_its_error(error: Exception, kind: type[UpstreamError], status: int, sent: bool) -> None:
    found = classify(error, "OpenAI")
    assert type(found) is kind
    assert (found.status, found.sent) == (status, sent)
    assert str(found).endswith(".")
    assert "OpenAI" in str(found)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found"}}', "model_not_found"),
        (b'{"error":{"message":"no","type":"tokens","code":null}}', "tokens"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', "overloaded_error"),
        (b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', "INVALID_ARGUMENT"),
        (b'{"error":{"code":"DeploymentNotFound"}}', "DeploymentNotFound"),
        (b'{"error":{"code":"sk-secret with words"}}', None),
        (b'{"error":{"code":"' + b"a" * 65 + b'"}}', None),
        (b'{"error":"text"}', None),
        (b"[]", None),
        (b"[1]", None),
        (b"<html>502</html>", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_only_identifiers_are_kept_of_an_error(body: bytes, code: str | None) -> None:
    assert error_code(body) == code


def test_the_reader_of_errors_passes_bytes_on_and_keeps_few() -> None:
    reader = ErrorReader()
    chunk = b"x" * 65536
    for _ in range(100):
        assert reader.feed(chunk) is chunk
    assert len(reader._body) <= 2 * 65536
    assert reader.finish() == b""
    assert reader.reply.provider_error is None
