"""httpx's transport exceptions as Lectr's: which of them means what to the caller."""

from typing import Any

import httpx
import msgspec

from app.domain import Reply
from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError
from app.upstream.formats.loose import is_code


def classify(error: Exception, provider_name: str) -> UpstreamError:
    """The UpstreamError for a fault of the transport; its text is a sentence for the caller, without keys."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ProviderUnreachable(f"{provider_name} could not be reached: {error}. Try again later.", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTimeout(f"{provider_name} did not answer in time.", sent=True)
    if isinstance(error, httpx.RemoteProtocolError):
        return ProviderBadResponse(f"{provider_name} did not answer in HTTP: {error}.", sent=True)
    if isinstance(error, httpx.NetworkError):
        return ProviderReset(f"The connection to {provider_name} broke.", sent=True)
    return ProviderBadResponse(f"{provider_name} gave no usable answer ({type(error).__name__}).", sent=True)


_MAX_ERROR_BYTES = 64 * 1024


class ErrorReader:
    """Reads the code of a provider's error answer while it passes. Keeps identifiers only, never its text."""

    terminal = False

    def __init__(self) -> None:
        self.reply = Reply()
        self._body = b""

    def feed(self, chunk: bytes) -> bytes:
        """Look at body bytes; gives them back as they are."""
        if len(self._body) < _MAX_ERROR_BYTES:
            self._body += chunk
        return chunk

    def finish(self) -> bytes:
        """The body is whole: find the code."""
        self.reply.provider_error = error_code(self._body)
        return b""


def error_code(body: bytes) -> str | None:
    """The identifier in an error body of any of the providers (Gemini wraps its own in an array)."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(document, list) and document:
        document = document[0]
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return None
    for name in ("code", "status", "type"):
        value = error.get(name)
        if is_code(value):
            return str(value)
    return None
