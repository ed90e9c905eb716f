"""A provider on this machine: it speaks the wire formats of all five, takes any key and costs nothing.

`lectr demo` sends its traffic here, and tests use it where a real SDK needs an upstream. Below the address,
`/openai`, `/anthropic`, `/groq/openai`, `/gemini/v1beta/openai` and `/azure` are the providers' base URLs; a bare
`/v1/…` is OpenAI's, or Anthropic's for messages.
"""

import asyncio
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.demo import small
from app.demo.chat import chat, completions
from app.demo.faults import asked_fault, error_body, midstream_error
from app.demo.messages import count_tokens, messages
from app.demo.responses import input_tokens, responses

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = dict[str, Any] | Iterator[bytes] | bytes

_ROOTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"/anthropic/v1(/.*)"), "anthropic"),
    (re.compile(r"/openai/v1(/.*)"), "openai"),
    (re.compile(r"/groq/openai/v1(/.*)"), "groq"),
    (re.compile(r"/gemini/v1beta/openai(/.*)"), "gemini"),
    (re.compile(r"/azure/openai/deployments/(?P<deployment>[^/]+)(/.*)"), "azure"),
    (re.compile(r"/azure/(?:openai/v1|openai|models|anthropic/v1)(/.*)"), "azure"),
    (re.compile(r"/v1(/messages.*)"), "anthropic"),
    (re.compile(r"/v1(/.*)"), "openai"),
)
_ENDPOINTS: Mapping[str, Callable[[str, Mapping[str, Any]], Answer]] = {
    "/chat/completions": chat,
    "/completions": completions,
    "/responses": responses,
    "/responses/input_tokens": lambda _, body: input_tokens(body),
    "/messages": messages,
    "/messages/count_tokens": lambda _, body: count_tokens(body),
    "/embeddings": small.embeddings,
    "/moderations": lambda _, body: small.moderations(body),
    "/images/generations": lambda _, body: small.images(body),
    "/audio/speech": lambda _, body: small.speech(body),
}
_FORMS = ("/audio/transcriptions", "/audio/translations")
_MODELS: Mapping[str, Sequence[str]] = {
    "openai": ("gpt-4o", "gpt-4o-mini", "gpt-6-luna", "text-embedding-3-small"),
    "anthropic": ("claude-haiku-5-5", "claude-sonnet-5-5"),
    "groq": ("openai/gpt-oss-120b", "openai/gpt-oss-20b"),
    "gemini": ("gemini-2.5-flash", "gemini-3.8-flash"),
    "azure": ("gpt-4o", "gpt-4o-mini"),
}
_WORDS_BEFORE_FAULT = 4


class Seen(msgspec.Struct, frozen=True):
    """One request that reached the stand-in; kept only where a test asked for it."""

    provider: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class _Refused(Exception):
    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class StandIn:
    """The ASGI application. `pace_s` is the pause before each event of a stream."""

    def __init__(
        self, *, pace_s: float = 0.02, models: Mapping[str, Sequence[str]] | None = None, keep_requests: int = 0
    ) -> None:
        self._pace_s = pace_s
        self._models = models or _MODELS
        self.seen: deque[Seen] = deque(maxlen=keep_requests)
        self.left_early = 0
        """Streams whose client was gone before their end."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = f"req_{uuid.uuid4().hex[:24]}"
        provider, path, deployment = _route(scope["path"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read(receive)
        query = scope["query_string"].decode("latin-1")
        self.seen.append(Seen(provider, scope["method"], scope["path"], query, headers, body))
        call = _Call(provider, request_id, send, receive)
        try:
            _check_key(provider, path, headers)
            if scope["method"] == "GET" and path.startswith("/models"):
                await call.whole(self._model_answer(provider, path))
                return
            if scope["method"] != "POST" and (path in _ENDPOINTS or path in _FORMS):
                raise _Refused(405, f"{scope['method']} is not allowed here; send POST.", (b"allow", b"POST"))
            model, answer = _answer(provider, path, deployment, body)
            fault = asked_fault(model)
            if fault is not None and fault.isdigit():
                raise _Refused(int(fault), f"The model name asked for status {fault}.")
            await self._send(call, answer, fault)
        except _Refused as refused:
            await call.error(refused.status, str(refused), *refused.headers)

    async def _send(self, call: "_Call", answer: Answer, fault: str | None) -> None:
        if fault == "silent":
            await call.until_client_left()
        elif isinstance(answer, Iterator):
            finished = await call.stream(answer, self._pace_s, fault)
            self.left_early += 0 if finished else 1
        elif fault == "reset":
            await call.start(200, [(b"content-type", b"application/json"), (b"content-length", b"1000")])
        else:
            await call.whole(answer)

    def _model_answer(self, provider: str, path: str) -> dict[str, Any]:
        ids = self._models.get(provider, ())
        wanted = path.removeprefix("/models").removeprefix("/").removeprefix("models/")
        if not wanted:
            return small.model_list(provider, ids)
        if wanted not in ids:
            raise _Refused(404, f"The model '{wanted}' does not exist.")
        return small.model_object(provider, wanted)


class _Call:
    """One answer on its way out."""

    def __init__(self, provider: str, request_id: str, send: Send, receive: Receive) -> None:
        self._provider = provider
        self._request_id = request_id
        self._send = send
        self._receive = receive

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        id_header = b"request-id" if self._provider == "anthropic" else b"x-request-id"
        headers = [*headers, (id_header, self._request_id.encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def whole(self, answer: dict[str, Any] | bytes, status: int = 200) -> None:
        is_json = not isinstance(answer, bytes)
        body = msgspec.json.encode(answer) if is_json else answer
        kind = b"application/json" if is_json else b"audio/mpeg"
        await self.start(status, [(b"content-type", kind), (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": body})

    async def error(self, status: int, message: str, *more: tuple[bytes, bytes]) -> None:
        body = error_body(self._provider, status, message, self._request_id)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        if status == 429 and self._provider != "gemini":
            headers.append((b"retry-after", b"1"))
        await self.start(status, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def until_client_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def stream(self, events: Iterator[bytes], pace_s: float, fault: str | None) -> bool:
        """Send events one by one; False if the client left before the last."""
        await self.start(200, [(b"content-type", b"text/event-stream; charset=utf-8")])
        left = asyncio.ensure_future(self.until_client_left())
        try:
            for number, event in enumerate(events):
                if fault in ("reset", "midstream") and number == _WORDS_BEFORE_FAULT:
                    if fault == "reset":
                        return True
                    failure = midstream_error(self._provider, self._request_id)
                    await self._send({"type": "http.response.body", "body": failure})
                    return True
                await asyncio.wait((left,), timeout=pace_s)
                if left.done():
                    return False
                await self._send({"type": "http.response.body", "body": event, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
            return True
        finally:
            left.cancel()


def _route(path: str) -> tuple[str, str, str | None]:
    """Provider, path below its base, and Azure's deployment."""
    for pattern, provider in _ROOTS:
        found = pattern.fullmatch(path)
        if found is not None:
            return provider, found.group(found.lastindex or 1), found.groupdict().get("deployment")
    return "openai", path, None


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _check_key(provider: str, path: str, headers: Mapping[str, str]) -> None:
    bearer = headers.get("authorization", "").removeprefix("Bearer").strip()
    own = {"anthropic": "x-api-key", "azure": "api-key"}.get(provider)
    if not bearer and not (own and headers.get(own)) and not headers.get("x-api-key" if "/messages" in path else ""):
        raise _Refused(401, "No key was sent. Any key will do.")
    if path.startswith("/messages") and "anthropic-version" not in headers:
        raise _Refused(400, "anthropic-version: header is required")


def _answer(provider: str, path: str, deployment: str | None, body: bytes) -> tuple[str, Answer]:
    """The model asked for and the answer. Raises _Refused."""
    try:
        if path in _FORMS:
            model = deployment or small.form_field(body, "model") or ""
            return model, small.transcription(model, body)
        handler = _ENDPOINTS.get(path)
        if handler is None:
            raise _Refused(404, f"Unknown request URL: {path}")
        asked = msgspec.json.decode(body, type=dict[str, Any])
        if deployment is not None:
            asked["model"] = deployment
        return str(asked.get("model") or ""), handler(provider, asked)
    except msgspec.DecodeError as error:
        raise _Refused(400, f"The body could not be read as JSON: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise _Refused(400, f"The stand-in could not read the request: {error!r}") from None
