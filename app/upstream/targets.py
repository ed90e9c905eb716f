"""Where a request goes: provider base, path, query and, for Azure, its two URL forms.

Facts: wire-facts.md section 4 of the design notes; summarised in docs/request-path.md.
"""

import logging
from urllib.parse import parse_qsl, quote

from app.catalog.catalog import Catalog
from app.catalog.schema import Provider
from app.domain import InboundRequest, Target
from app.errors import RequestRejected
from app.settings import Settings
from app.upstream.exchange import place_of
from app.upstream.formats import add_stream_usage
from app.upstream.headers import request_headers

log = logging.getLogger("lectr.targets")

_DEPLOYMENT_ENDPOINTS = frozenset(
    (
        "chat.completions",
        "completions",
        "embeddings",
        "images.generations",
        "audio.speech",
        "audio.transcriptions",
        "audio.translations",
    )
)
_V1_VERSIONS = ("", "v1", "preview", "latest")


_STREAM_USAGE_FORMATS = ("openai-chat", "openai-completions")
_FIRST_AZURE_STREAM_USAGE = "2024-09-01"


def build_target(
    request: InboundRequest,
    provider: Provider,
    provider_key: str,
    settings: Settings,
    *,
    azure_endpoint: str,
    azure_api_version: str,
    asks_usage: bool,
    streamed_body: bool,
) -> Target:
    """URL, headers and body of the call upstream. Raises RequestRejected `azure_config_missing`."""
    url = upstream_url(request, provider, settings, azure_endpoint, azure_api_version)
    wire_format = provider.endpoints.get(request.endpoint) or None
    add_usage = (
        request.stream
        and not asks_usage
        and provider.asks_for_stream_usage
        and wire_format in _STREAM_USAGE_FORMATS
        and not _too_old_for_stream_usage(url)
    )
    body = request.body
    if add_usage:
        try:
            body = add_stream_usage(request.body)
        except Exception:
            log.exception("usage could not be asked for; the request goes out as it came")
        # Nothing added, nothing to take out again.
        add_usage = body is not request.body
    length = None if streamed_body else len(body)
    if streamed_body and (declared := dict(request.headers).get(b"content-length", b"")).isdigit():
        length = int(declared)
    headers = request_headers(request.headers, provider, request.endpoint, provider_key, place_of(url).host, length)
    return Target(provider.id, wire_format, url, headers, body, usage_added=add_usage)


def _too_old_for_stream_usage(url: str) -> bool:
    """Azure refuses `stream_options` in versions before 2024-09-01-preview (openai-python issue 1469)."""
    version = url.partition("api-version=")[2][:10]
    return version[:2] == "20" and version < _FIRST_AZURE_STREAM_USAGE


def upstream_url(
    request: InboundRequest, provider: Provider, settings: Settings, azure_endpoint: str, azure_api_version: str
) -> str:
    """The full upstream URL. Raises RequestRejected `azure_config_missing` where no endpoint is set."""
    if provider.id == "azure":
        return _azure_url(request, azure_endpoint, azure_api_version)
    base = settings.provider_value(provider.base_url_setting) or provider.base_url
    return _with_query(base + provider.path_prefix + request.path[len("/v1") :], request.query)


def azure_base(endpoint: str) -> str:
    """An Azure endpoint as people paste it, without the path that Lectr adds itself."""
    trimmed = endpoint.strip().rstrip("/")
    for suffix in ("/openai/v1", "/openai"):
        trimmed = trimmed.removesuffix(suffix)
    return trimmed.rstrip("/")


def _azure_url(request: InboundRequest, endpoint: str, configured_version: str) -> str:
    if not endpoint:
        raise RequestRejected(
            400,
            "azure_config_missing",
            "No Azure endpoint is set. Set it in the console under Settings, or start Lectr with LECTR_AZURE_ENDPOINT.",
        )
    base = azure_base(endpoint)
    rest = request.path[len("/v1") :]
    asked = dict(parse_qsl(request.query, keep_blank_values=True)).get("api-version")
    version = asked if asked is not None else configured_version
    query = request.query
    if asked is None and version:
        query = f"{query}&api-version={quote(version)}" if query else f"api-version={quote(version)}"
    if rest.startswith("/messages"):
        return _with_query(f"{base}/anthropic/v1{rest}", request.query)
    if base.endswith("/models"):
        return _with_query(base + rest, query)
    if version in _V1_VERSIONS:
        return _with_query(f"{base}/openai/v1{rest}", query)
    deployment = request.deployment or request.model
    if request.endpoint in _DEPLOYMENT_ENDPOINTS and deployment:
        if deployment in (".", ".."):
            # The one name that quoting does not keep from being a step in the path.
            raise RequestRejected(400, "invalid_request", f"`{deployment}` names no deployment.")
        return _with_query(f"{base}/openai/deployments/{quote(deployment, safe='')}{rest}", query)
    return _with_query(f"{base}/openai{rest}", query)


def _with_query(url: str, query: str) -> str:
    return f"{url}?{query}" if query else url


def endpoint_not_supported(provider: Provider, request: InboundRequest, catalog: Catalog) -> RequestRejected:
    """The error for an endpoint that the provider does not have, naming those that do."""
    having = [other.id for other in catalog.providers.values() if request.endpoint in other.endpoints]
    return RequestRejected(
        400,
        "endpoint_not_supported",
        f"{provider.name} has no {request.path}. It is served by: {', '.join(having)}. "
        "Lectr never translates one wire format into another.",
    )


def missing_provider_key(provider: Provider) -> RequestRejected:
    """The error for a request with neither its own key nor one of the box."""
    return RequestRejected(
        401,
        "missing_provider_key",
        f"No key for {provider.name} was sent, and this box holds none. Send it as your client does "
        f"(Authorization, x-api-key or api-key), or start Lectr with {provider.key_setting}.",
    )
