"""The recorded exchanges, as a reader meets them."""

import functools
import json
from typing import Any

from tests.shared_data import shared_data

FORMATS = {
    "chat.completions": "openai-chat",
    "completions": "openai-completions",
    "responses": "openai-responses",
    "embeddings": "openai-embeddings",
    "messages": "anthropic-messages",
    "images": "openai-images",
    "audio.transcriptions": "openai-audio",
    "audio.translations": "openai-audio",
}


@functools.cache
def _lines() -> tuple[dict[str, Any], ...]:
    text = shared_data("traffic/exchanges.jsonl").read_text("utf-8")
    exchanges = [json.loads(line) for line in text.splitlines()]
    return tuple(each for each in exchanges if "mislabelled_host" not in each["flags"])


def answered() -> list[dict[str, Any]]:
    """Exchanges of the formats Lectr reads that a provider answered with 200 and a body."""
    return [
        each for each in _lines() if each["status"] == 200 and each["endpoint"] in FORMATS and each["response_body"]
    ]


def streamed() -> list[dict[str, Any]]:
    """Those whose body is a stream of events, whatever their content type says."""
    return [each for each in answered() if each["response_body"].lstrip()[:5] in ("data:", "event")]


def content_type(exchange: dict[str, Any]) -> str:
    """The recorded content type, empty if none was kept."""
    headers = exchange["response_headers"]
    return str(headers.get("content-type") or "") if isinstance(headers, dict) else ""
