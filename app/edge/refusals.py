"""The errors that Lectr answers by itself, each with a sentence that says what to do."""

from typing import Any

from app.errors import RequestRejected
from app.settings import Settings


def base_url(scope: Any, settings: Settings) -> str:
    """Lectr's address as this caller reaches it; what the settings say is surer than what the caller says."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = next((value for name, value in scope["headers"] if name == b"host"), b"HOST:PORT")
    return f"{scope.get('scheme', 'http')}://{host.decode('latin-1')[:200]}"


def not_found(path: str, base_url: str) -> RequestRejected:
    """The 404 for a path that is not Lectr's, with the address that would be right."""
    known = ("/chat/completions", "/responses", "/completions", "/embeddings", "/messages", "/models")
    if path.startswith("/openai/"):
        hint = f"For AzureOpenAI set base_url to {base_url}/v1 instead of azure_endpoint."
    elif path.startswith("/v1beta/"):
        hint = f"Lectr speaks Gemini's OpenAI-compatible API: set base_url to {base_url}/v1."
    elif path.startswith(known):
        hint = f"The base URL lacks /v1: set it to {base_url}/v1."
    else:
        hint = f"The base URL for programs is {base_url}/v1 (for Anthropic's SDK {base_url})."
    return RequestRejected(404, "not_found", f"Lectr has nothing at {path[:200]}. {hint}")


def starting() -> RequestRejected:
    """No key snapshot yet: neither open nor 401."""
    return RequestRejected(503, "starting", "Lectr is starting. Try again in a second.", retry_after_s=1)


def draining() -> RequestRejected:
    """The process has been told to stop."""
    return RequestRejected(503, "draining", "Lectr is shutting down. Try again in a few seconds.", retry_after_s=5)


def websocket() -> RequestRejected:
    """An upgrade was asked for."""
    return RequestRejected(426, "websocket_not_supported", "Lectr does not carry WebSocket or realtime sessions.")


def no_method(method: str) -> RequestRejected:
    """TRACE would send the caller whatever key went upstream; CONNECT asks for a tunnel."""
    return RequestRejected(400, "invalid_request", f"Lectr forwards no {method} requests.")


def internal_error() -> RequestRejected:
    """A fault of Lectr's own."""
    return RequestRejected(500, "internal_error", "Lectr failed at this request. Its log says why; the row is kept.")
