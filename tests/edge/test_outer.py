"""What stands around the application: Groq's own path, headers on every answer, HEAD."""

from typing import Any

import pytest

from app.edge.drain import Drain
from app.edge.outer import Outer

MARKS: dict[str, str] = {}


async def _call(scope: dict[str, Any], drain: Drain | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    seen: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []

    async def app(inner: Any, receive: Any, send: Any) -> None:
        seen.update(inner)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"text"})

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    outer = Outer(app, drain or Drain(), {"x-frame-options": "DENY"}, ("strict", "yes"), lambda _: False, MARKS)
    await outer({"type": "http", "method": "GET", "headers": [], **scope}, receive, send)
    return seen, sent


@pytest.mark.anyio
async def test_the_path_of_groqs_sdk_is_the_programs_path() -> None:
    path = "/openai/v1/chat/completions"
    seen, _ = await _call({"path": path, "raw_path": path.encode()})
    assert (seen["path"], seen["raw_path"]) == ("/v1/chat/completions", b"/v1/chat/completions")


@pytest.mark.anyio
async def test_every_answer_outside_v1_carries_the_security_headers_and_is_not_stored() -> None:
    _, sent = await _call({"path": "/nope", "raw_path": b"/nope"})
    assert dict(sent[0]["headers"]) == {b"x-frame-options": b"DENY", b"cache-control": b"no-store"}
    _, sent = await _call({"path": "/v1/x", "raw_path": b"/v1/x"})
    assert sent[0]["headers"] == []


@pytest.mark.anyio
async def test_head_is_answered_as_get_without_its_body() -> None:
    seen, sent = await _call({"path": "/", "raw_path": b"/", "method": "HEAD"})
    assert seen["method"] == "GET"
    assert sent[1]["body"] == b""


@pytest.mark.anyio
async def test_a_draining_process_turns_everything_new_away_but_health() -> None:
    drain = Drain()
    await drain.run(0.01)
    _, sent = await _call({"path": "/", "raw_path": b"/"}, drain)
    assert sent[0]["status"] == 503
    assert (b"connection", b"close") in sent[0]["headers"]
    _, sent = await _call({"path": "/health", "raw_path": b"/health"}, drain)
    assert sent[0]["status"] == 200


@pytest.mark.anyio
async def test_head_of_an_endless_answer_ends_at_its_first_byte() -> None:
    sent: list[dict[str, Any]] = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def send(message: Any) -> None:
        sent.append(dict(message))

    outer = Outer(endless, Drain(), {}, ("strict", "yes"), lambda _: False, MARKS)
    await outer({"type": "http", "method": "HEAD", "path": "/", "raw_path": b"/", "headers": []}, None, send)  # type: ignore[arg-type]
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
