"""What is recorded of a request beside its head: how long its prompt was and which capabilities it used.

Read after the request is sent, so that no client waits for it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.upstream.formats.loose import fields_in, items_in, loose_json, text_in

_PROMPT_KEYS = ("messages", "input", "instructions", "system", "prompt", "tools", "functions")
# Values that are no prompt: names of things, base64, addresses, signatures.
_NO_TEXT = frozenset(
    (
        "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "item_id", "status", "media_type", "format",
        "detail", "url", "image_url", "file_url", "file_id", "file_data", "data", "signature", "encrypted_content",
        "cache_control", "container_id", "b64_json",
    )
)  # fmt: skip

_USED_BY_TYPE = {
    "image_url": "images",
    "input_image": "images",
    "image": "images",
    "input_audio": "audio",
    "audio": "audio",
    "file": "files",
    "input_file": "files",
    "document": "files",
}


class RequestDetail(msgspec.Struct, frozen=True):
    """`prompt_bytes`: UTF-8 bytes of the request's text; `used`: sorted; `input_characters`: text to be spoken."""

    prompt_bytes: int = 0
    used: tuple[str, ...] = ()
    input_characters: int = 0


def request_detail(format: str | None, endpoint: str, body: bytes) -> RequestDetail:
    """The details of one request. Never raises: what cannot be read counts as nothing."""
    try:
        document = loose_json(body)
        if not isinstance(document, dict):
            return RequestDetail()
        if endpoint == "chat.completions":
            plain = _plain_text_bytes(document)
            if plain is not None:
                return RequestDetail(plain)
        texts = sum(_text_bytes(document[key]) for key in _PROMPT_KEYS if key in document)
        spoken = text_in(document, "input") if endpoint == "audio.speech" else None
        return RequestDetail(texts, tuple(sorted(_used(document, endpoint))), len(spoken) if spoken else 0)
    except Exception:
        return RequestDetail()


def _text_bytes(value: Any) -> int:
    total = 0
    nodes = [value]
    while nodes:
        node = nodes.pop()
        if type(node) is str:
            total += len(node) if node.isascii() else len(node.encode("utf-8", "surrogatepass"))
        elif type(node) is dict:
            for key, item in node.items():
                if key not in _NO_TEXT:
                    nodes.append(item)
            if "data" in node and node.get("type") == "text":
                # Anthropic's plain text document: the one `data` that is a prompt.
                nodes.append(node["data"])
        elif type(node) is list:
            nodes += node
    return total


_PLAIN_MESSAGE = frozenset(("role", "content"))
_PLAIN_FIELDS = frozenset(
    (
        "model", "messages", "stream", "stream_options", "temperature", "top_p", "n", "stop", "seed", "user",
        "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty", "metadata", "store",
    )
)  # fmt: skip


def _plain_text_bytes(document: dict[str, Any]) -> int | None:
    """The text of what most requests are: messages of nothing but text, and fields that use nothing; None = another."""
    messages = document.get("messages")
    if type(messages) is not list or not document.keys() <= _PLAIN_FIELDS:
        return None
    total = 0
    for message in messages:
        if type(message) is not dict or message.keys() != _PLAIN_MESSAGE:
            return None
        content = message["content"]
        if type(content) is not str:
            return None
        total += len(content) if content.isascii() else len(content.encode("utf-8", "surrogatepass"))
    return total


def _used(document: dict[str, Any], endpoint: str) -> set[str]:
    used: set[str] = set()
    tools = items_in(document, "tools") or items_in(document, "functions")
    if tools:
        used.add("tools")
    if tools and document.get("parallel_tool_calls") is True:
        used.add("parallel_tools")
    used.update(_hosted_tools(tools))
    if "web_search_options" in document:
        used.add("web_search")
    if not _FORM_KEYS.isdisjoint(document):
        used.update(_answer_forms(document))
    for part in _parts(document):
        name = _USED_BY_TYPE.get(text_in(part, "type") or "")
        if name:
            used.add(name)
        if len(items_in(part, "tool_calls")) > 1 or _tool_uses(part) > 1:
            used.add("parallel_tools")
    if endpoint.startswith("audio.") or "audio" in items_in(document, "modalities"):
        used.add("audio")
    return used


def _hosted_tools(tools: list[Any]) -> Iterator[str]:
    for tool in tools:
        kind = text_in(tool, "type") or ""
        if kind.startswith("web_search"):
            yield "web_search"
        elif kind.startswith("file_search"):
            yield "file_search"
        elif kind.startswith(("code_interpreter", "code_execution")):
            yield "code_execution"


_FORM_KEYS = frozenset(
    ("response_format", "text", "output_format", "output_config", "reasoning_effort", "reasoning", "thinking")
)


def _answer_forms(document: dict[str, Any]) -> Iterator[str]:
    for form in (
        fields_in(document, "response_format"),
        fields_in(fields_in(document, "text"), "format"),
        fields_in(document, "output_format"),
        fields_in(fields_in(document, "output_config"), "format"),
    ):
        kind = text_in(form, "type")
        if kind == "json_object":
            yield "json_mode"
        elif kind == "json_schema":
            yield "json_schema"
    effort = document.get("reasoning_effort")
    reasoning = fields_in(document, "reasoning")
    thinking = text_in(fields_in(document, "thinking"), "type")
    if (
        (isinstance(effort, str) and effort not in ("", "none"))
        or (reasoning is not None and reasoning.get("effort") != "none")
        or (thinking is not None and thinking != "disabled")
    ):
        yield "reasoning"


def _parts(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in ("messages", "input", "system"):
        for message in items_in(document, key):
            if not isinstance(message, dict):
                continue
            if message.keys() == _PLAIN_MESSAGE and type(message["content"]) is str:
                # Most messages: nothing but text.
                continue
            yield message
            for part in items_in(message, "content") or items_in(message, "output"):
                if isinstance(part, dict):
                    yield part
                    yield from (inner for inner in items_in(part, "content") if isinstance(inner, dict))


def _tool_uses(message: dict[str, Any]) -> int:
    return sum(text_in(part, "type") == "tool_use" for part in items_in(message, "content"))
