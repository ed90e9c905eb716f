"""The recorded exchanges as a client of Lectr would send them, and the provider that answers as recorded."""

import functools
import json
import random
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.edge.provider import Call, Play
from tests.shared_data import shared_data

KEYS = {
    "openai": "sk-replay",
    "anthropic": "sk-ant-replay",
    "groq": "gsk_replay",
    "gemini": "AIzaReplay",
    "azure": "0123456789abcdef",
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
    "/v1/audio/transcriptions": "audio.transcriptions",
    "/v1/audio/translations": "audio.translations",
}
TODAY = "2026-11-22T12:00:00+00:00"
SURE = ("agree", "explained", "corrected")
BOUNDARY = "replayed-form"
FRAMING = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"))
NOT_SENT = frozenset(("host", "content-length", "connection", "transfer-encoding", "x-api-key", "authorization"))


class Sent(msgspec.Struct):
    """One exchange as the client sends it through Lectr, and what must reach the provider."""

    exchange: dict[str, Any]
    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    upstream_target: str
    usage_added: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def endpoint(self) -> str:
        """The ledger's name; a deployment in the path is none of it."""
        parts = self.path.split("/")
        path = "/v1/" + "/".join(parts[4:]) if parts[2] == "deployments" else self.path
        return ENDPOINTS.get(path, "other") if self.method == "POST" else "other"


@functools.cache
def exchanges() -> tuple[dict[str, Any], ...]:
    """All of them, in their order; none where the shared data is not here."""
    try:
        text = shared_data("traffic/exchanges.jsonl").read_text("utf-8")
    except pytest.skip.Exception:
        return ()
    return tuple(json.loads(line) for line in text.splitlines())


def is_foundry(exchange: dict[str, Any]) -> bool:
    """True where the Azure endpoint ends with /models: a configuration of its own."""
    return bool(exchange["provider"] == "azure" and urlsplit(exchange["url"]).path.startswith("/models/"))


def recorded_at_us(exchange: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(exchange["recorded_at"] or TODAY).timestamp() * 1e6)


def as_sent(exchange: dict[str, Any], *, plain_azure: bool = False) -> Sent:
    """The client's request for an exchange. `plain_azure`: not AzureOpenAI's path, but /v1/ and ?api-version."""
    provider, parts = exchange["provider"], urlsplit(exchange["url"])
    path = parts.path.replace("//", "/")
    upstream = f"/{provider}{path}" + (f"?{parts.query}" if parts.query else "")
    if provider in ("groq", "azure"):
        path = path.removeprefix("/openai")
    elif provider == "gemini":
        path = path.replace("/v1beta/openai/", "/v1/")
    path = path.removeprefix("/models") if is_foundry(exchange) else path
    if path.startswith("/deployments/") and plain_azure:
        path = "/" + path.split("/", 3)[3]
    path = path if path.startswith("/v1/") else f"/v1{path}"
    headers = {name: value for name, value in exchange["request_headers"].items() if name not in NOT_SENT}
    if provider == "azure":
        headers["x-lectr-provider"] = "azure"
    headers |= {
        "x-lectr-feature": "replay",
        "cookie": "session=1",
        "x-forwarded-for": "10.0.0.1",
        "x-replay": exchange["id"],
    }
    headers |= _key(provider)
    target = path + (f"?{parts.query}" if parts.query else "")
    body = exchange["request_body"].encode() if exchange["request_body"] else None
    if body is None and exchange["method"] == "POST":
        body = _made_body(exchange, headers)
    if body is not None and body.startswith(b"[multipart"):
        body = _form(exchange, headers)
    return Sent(exchange, exchange["method"], target, headers, body, upstream)


def _key(provider: str) -> dict[str, str]:
    if provider == "anthropic":
        return {"x-api-key": KEYS[provider]}
    return {"api-key": KEYS[provider]} if provider == "azure" else {"authorization": f"Bearer {KEYS[provider]}"}


def _made_body(exchange: dict[str, Any], headers: dict[str, str]) -> bytes:
    """Where only the answer was recorded: the least request that asks for it."""
    if "audio" in exchange["endpoint"]:
        return _form(exchange, headers)
    headers["content-type"] = "application/json"
    request: dict[str, Any] = {"model": exchange["model_requested"] or exchange["model_response"] or "gpt-4o"}
    if exchange["stream"]:
        request["stream"] = True
        if exchange["endpoint"] in ("chat.completions", "completions"):
            request["stream_options"] = {"include_usage": True}
    return json.dumps(request).encode()


def _form(exchange: dict[str, Any], headers: dict[str, str]) -> bytes:
    model = exchange["model_requested"] or exchange["model_response"] or "whisper-1"
    stream = [("stream", "true")] if exchange["stream"] else []
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in [("model", model), *stream, ("file", "\x00\x01sound")]
    ]
    headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()


def answering(exchange: dict[str, Any]) -> Play:
    """The provider's side: status, headers and body as recorded; a stream comes cut at odd places."""
    body = exchange["response_body"].encode()
    recorded = exchange["response_headers"]
    fields = [(name, value) for name, value in recorded.items() if name not in FRAMING]
    cuts = random.Random(exchange["id"])

    async def play(call: Call) -> None:
        if "transfer-encoding" not in recorded:
            await call.whole(exchange["status"], body, *fields)
            return
        await call.head(exchange["status"], *fields, ("transfer-encoding", "chunked"))
        at = 0
        while at < len(body):
            size = cuts.choice((1, 7, 160, 1000, 5000, 20000))
            await call.chunk(body[at : at + size])
            at += size
        await call.end()

    return play
