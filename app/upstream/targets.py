"""Where a request goes: provider base, path, query and, for Azure, its two URL forms.

Facts: wire-facts.md section 4 of the design notes; summarised in docs/request-path.md.
"""

from urllib.parse import parse_qsl, quote

from app.catalog.schema import Provider
from app.domain import InboundRequest
from app.errors import RequestRejected
from app.settings import Settings

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


def upstream_url(
    request: InboundRequest, provider: Provider, settings: Settings, azure_endpoint: str, azure_api_version: str
) -> str:
    """The full upstream URL. Raises RequestRejected `azure_config_missing` where no endpoint is set."""
    if provider.id == "azure":
        return _azure_url(request, azure_endpoint or settings.azure_endpoint, azure_api_version)
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
        return _with_query(f"{base}/openai/deployments/{quote(deployment, safe='')}{rest}", query)
    return _with_query(f"{base}/openai{rest}", query)


def _with_query(url: str, query: str) -> str:
    return f"{url}?{query}" if query else url
