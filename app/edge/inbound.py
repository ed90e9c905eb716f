"""From an ASGI scope to an InboundRequest: labels, path, limits of the body, and what is read of it."""

from typing import Any

from app.domain import MAX_LABEL_CHARACTERS, TASKS, InboundRequest, KeyIdentity, new_request_id
from app.edge.auth import Caller
from app.edge.client import too_large
from app.edge.paths import OTHER, InboundPath
from app.errors import RequestRejected
from app.settings import MEBIBYTE
from app.upstream.formats import FORMAT_BY_ENDPOINT, RequestFacts, read_request

_LENGTH_DIGITS = 19
FILES_LIMIT_BYTES = 512 * MEBIBYTE


def inbound_request(scope: Any, caller: Caller, key: KeyIdentity, started_at_us: int) -> InboundRequest:
    """A request as its header tells it; path, body and model are read later."""
    fields = caller.fields
    feature = _label(fields.get(b"x-lectr-feature")) or key.default_feature
    task = _label(fields.get(b"x-lectr-task"))
    if task is not None:
        lowered = task.lower().replace("summarization", "summarisation")
        task = lowered if lowered in TASKS else task
    return InboundRequest(
        id=new_request_id(started_at_us),
        started_at_us=started_at_us,
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query="",
        endpoint=OTHER,
        headers=scope["headers"],
        body=b"",
        key=key,
        feature=feature,
        task=task,
        provider_header=_label(fields.get(b"x-lectr-provider")),
        provider_keys=caller.provider_keys,
    )


def _label(value: bytes | None) -> str | None:
    if not value:
        return None
    return value.decode("utf-8", "replace").strip()[:MAX_LABEL_CHARACTERS] or None


def apply_path(request: InboundRequest, place: InboundPath) -> None:
    """Take over the path; a deployment in it means Azure unless the header says otherwise."""
    request.path, request.query, request.endpoint = place.path, place.query, place.endpoint
    request.deployment = place.deployment
    if place.deployment and not request.provider_header:
        request.provider_header = "azure"


def body_limit(request: InboundRequest, caller: Caller, max_body_mb: int) -> int:
    """Bytes the body may have. Raises RequestRejected `unsupported_encoding`, `request_too_large`."""
    if caller.fields.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise RequestRejected(
            415, "unsupported_encoding", "The request's body is compressed. Send it without Content-Encoding."
        )
    limit = FILES_LIMIT_BYTES if request.path.startswith("/v1/files") else max_body_mb * MEBIBYTE
    declared = caller.fields.get(b"content-length", b"0")
    if len(declared) > _LENGTH_DIGITS:
        raise RequestRejected(400, "invalid_request", "The Content-Length is no plain number.")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    return limit


def read_facts(request: InboundRequest, caller: Caller) -> RequestFacts:
    """Read model and stream from the body of a known endpoint. Raises RequestRejected `invalid_request`."""
    if request.endpoint == OTHER:
        return RequestFacts()
    content_type = caller.fields.get(b"content-type", b"").decode("latin-1")
    facts = read_request(
        FORMAT_BY_ENDPOINT[request.endpoint],
        request.endpoint,
        request.body,
        content_type=content_type,
        deployment=request.deployment,
    )
    request.model = facts.model
    request.stream = facts.stream
    return facts
