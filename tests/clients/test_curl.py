"""curl through Lectr gets, byte for byte, what it gets without it."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.serving import Lectr

CHANCE = re.compile(rb"[0-9a-f]{16,}|\"created\":\d+")
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("/openai", "/v1/chat/completions", {"model": "gpt-4o"}),
    "stream": ("/openai", "/v1/chat/completions", {"model": "gpt-4o", "stream": True}),
    "stream with usage": (
        "/openai",
        "/v1/chat/completions",
        {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}},
    ),
    "Groq's stream": ("/groq/openai", "/v1/chat/completions", {"model": "openai/gpt-oss-20b", "stream": True}),
    "message": ("/anthropic", "/v1/messages", {"model": "claude-haiku-5-5", "max_tokens": 50}),
    "streamed message": ("/anthropic", "/v1/messages", {"model": "claude-haiku-5-5", "max_tokens": 50, "stream": True}),
    "error": ("/openai", "/v1/chat/completions", {"model": "gpt-error-429"}),
    "error of Anthropic": ("/anthropic", "/v1/messages", {"model": "claude-error-529", "max_tokens": 50}),
}


@pytest.fixture(scope="session")
def curl(require_tool: Callable[[str], str]) -> str:
    return require_tool("curl")


def ask(curl: str, url: str, body: dict[str, Any], *headers: str) -> tuple[str, bytes]:
    """Status and body. Both calls carry the same header fields but the Lectr key."""
    sent = {**body, "messages": [{"role": "user", "content": "Where is my order?"}]}
    fields = [part for header in headers for part in ("-H", header)]
    done = subprocess.run(
        [curl, "-sS", "-N", "-w", "\n%{http_code}", *fields, "-H", "Content-Type: application/json", "-d", "@-", url],
        input=json.dumps(sent).encode(),
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    answer, _, status = done.stdout.rpartition(b"\n")
    return status.decode(), answer


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_the_same(lectr: Lectr, direct: str, curl: str, name: str) -> None:
    base, path, body = CASES[name]
    own = "x-api-key: sk-ant-any" if base == "/anthropic" else "Authorization: Bearer any"
    expected = ask(curl, f"{direct}{base}{path}", body, own, "anthropic-version: 2023-06-01")
    seen = ask(curl, f"{lectr.url}{path}", body, own, "anthropic-version: 2023-06-01", f"X-Lectr-Key: {lectr.key}")
    assert seen[0] == expected[0]
    assert CHANCE.sub(b"chance", seen[1]) == CHANCE.sub(b"chance", expected[1])
    assert len(seen[1]) > 50


def test_the_lectr_key_alone_is_enough(lectr: Lectr, curl: str) -> None:
    status, answer = ask(
        curl, f"{lectr.url}/v1/chat/completions", {"model": "gpt-4o"}, f"Authorization: Bearer {lectr.key}"
    )
    assert (status, "choices" in json.loads(answer)) == ("200", True)
