"""What the stand-in answers: text, a tool call or JSON, and the token counts that go with it.

A token is a word here: the counts are exact for the answer that was sent, which is all that metering needs.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

JsonObject = Mapping[str, Any]

_SENTENCES = (
    "This answer comes from Lectr's stand-in and never left your machine.",
    "The order left the warehouse on Tuesday and should arrive within two working days.",
    "Three of the five suppliers have confirmed; the other two answer by the end of the week.",
    "The error comes from a connection that is closed before its last row is read.",
    "Renewals grew by four per cent, mostly in the teams that use the search page every day.",
    "Please restart the service after the change, or it goes on with its old settings.",
    "The report has two parts: what was measured, and what we would do about it.",
    "Nothing in the log explains the gap between noon and one o'clock.",
)
_CACHE_FROM_TOKENS = 1024
_CACHE_STEP = 128
_BYTES_PER_TOKEN = 4
_THOUGHT = "The question is short, so a short answer will do."
_REASONING = re.compile(r"^(?:o\d|gpt-[5-9]|openai/gpt-oss|qwen/|gemini-(?:2\.5-pro|[3-9])|deepseek-r1)")
_SERVED_AS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
}
_AZURE_SERVES = "gpt-4o-2024-11-20"


class Tool(msgspec.Struct, frozen=True):
    """A function the caller offers, with the JSON schema of its arguments."""

    name: str
    schema: JsonObject


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the stand-in needs of a request. `tool` is set where the answer is to be a call of it."""

    provider: str
    model: str
    prompt: str
    tool: Tool | None = None
    schema: JsonObject | None = None
    thinks: bool = False
    max_tokens: int | None = None


class Invented(msgspec.Struct, frozen=True):
    """One answer. `pieces` put together are the text; `arguments` is JSON where a tool is called.

    Input tokens include the cached ones, output tokens include reasoning.
    """

    id: str
    created: int
    model: str
    pieces: tuple[str, ...]
    thought: str
    tool: str | None
    arguments: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cut: bool

    @property
    def text(self) -> str:
        """The whole text of the answer."""
        return "".join(self.pieces)


def invent(ask: Ask) -> Invented:
    """An answer to the request: the same text for the same prompt, a new id each time."""
    arguments = json.dumps(example_of(ask.tool.schema)) if ask.tool else ""
    text = "" if ask.tool else _text(ask)
    words = re.findall(r"\s*\S+", text)
    thinks = ask.thinks or bool(_REASONING.match(ask.model))
    reasoning = 16 + _number(ask.prompt, 200) if thinks else 0
    limit = len(words)
    if ask.max_tokens is not None:
        # Thinking counts against the limit, and comes first.
        reasoning = min(reasoning, ask.max_tokens)
        limit = ask.max_tokens - reasoning
    pieces = tuple(words[:limit])
    input_tokens = 8 + tokens_in(ask.prompt)
    cached = 0 if input_tokens < _CACHE_FROM_TOKENS else input_tokens * 3 // 4 // _CACHE_STEP * _CACHE_STEP
    return Invented(
        id=uuid.uuid4().hex,
        created=int(time.time()),
        model=served_as(ask.provider, ask.model),
        pieces=pieces,
        thought=_THOUGHT if thinks else "",
        tool=ask.tool.name if ask.tool else None,
        arguments=arguments,
        input_tokens=input_tokens,
        cached_tokens=cached,
        output_tokens=len(pieces) + tokens_in(arguments) + reasoning,
        reasoning_tokens=reasoning,
        cut=len(pieces) < len(words),
    )


def served_as(provider: str, model: str) -> str:
    """The model name in the answer: dated, and never an Azure deployment's name."""
    bare = model.removeprefix("models/")
    known = _SERVED_AS.get(bare, bare)
    if provider == "azure" and not re.match(r"(?:gpt-|o\d|claude-|text-embedding-)", known):
        return _AZURE_SERVES
    return known


def tokens_in(text: str) -> int:
    """Tokens of an input text: a quarter of its bytes, rounded up."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


def texts(value: object) -> Iterator[str]:
    """All text that a request carries in messages, input, system prompt or instructions; no images, no audio."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key in ("system", "instructions", "messages", "input", "prompt", "content", "text", "output", "arguments"):
            if key in value:
                yield from texts(value[key])


def prompt_of(body: JsonObject) -> str:
    """All text of a request body, put together."""
    return "\n".join(texts(dict(body)))


def example_of(schema: JsonObject, root: JsonObject | None = None) -> Any:
    """A small value that fits a JSON schema of the kind that tools and structured outputs use."""
    top = schema if root is None else root
    if "$ref" in schema:
        found: Any = top
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return example_of(found, top)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return example_of(schema[choice][0], top)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        return {name: example_of(part, top) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), top)]
    simple: dict[object, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
    return simple.get(kind, "demo")


def _text(ask: Ask) -> str:
    if ask.schema is not None:
        return json.dumps(example_of(ask.schema) or {"answer": "demo"})
    count = 2 + _number(ask.prompt, 3)
    first = _number(ask.prompt + "#", len(_SENTENCES))
    return " ".join(_SENTENCES[(first + step) % len(_SENTENCES)] for step in range(count))


def _number(text: str, below: int) -> int:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % below
