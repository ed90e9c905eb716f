"""The stand-in's Anthropic messages and token counting."""

import json
from collections.abc import Iterator
from typing import Any

from app.demo.events import named_event
from app.demo.invented import Ask, Invented, JsonObject, Tool, invent, prompt_of, tokens_in

_SIGNATURE = "ZGVtbw=="


def messages(provider: str, body: JsonObject) -> dict[str, Any] | Iterator[bytes]:
    """The answer of `/v1/messages`: one JSON object, or the events of a stream."""
    made = invent(
        Ask(
            provider=provider,
            model=body["model"],
            prompt=prompt_of(body),
            tool=_tool(body),
            schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
            thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
            max_tokens=body.get("max_tokens"),
        )
    )
    return _stream(made) if body.get("stream") else _whole(made)


def count_tokens(body: JsonObject) -> dict[str, Any]:
    """The answer of `/v1/messages/count_tokens`."""
    return {"input_tokens": 8 + tokens_in(prompt_of(body))}


def _tool(body: JsonObject) -> Tool | None:
    tools = [tool for tool in body.get("tools") or [] if "input_schema" in tool]
    choice = body.get("tool_choice") or {}
    if not tools or choice.get("type") == "none" or _answers_a_tool(body):
        return None
    if choice.get("type") == "tool":
        tools = [tool for tool in tools if tool.get("name") == choice.get("name")] or tools
    return Tool(tools[0].get("name", "tool"), tools[0]["input_schema"])


def _answers_a_tool(body: JsonObject) -> bool:
    last = (body.get("messages") or [{}])[-1]
    content = last.get("content")
    return isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)


def _usage(made: Invented, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": made.input_tokens - made.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": made.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _stop_reason(made: Invented) -> str:
    return "tool_use" if made.tool else "max_tokens" if made.cut else "end_turn"


def _head(made: Invented) -> dict[str, Any]:
    return {"id": f"msg_{made.id[:24]}", "type": "message", "role": "assistant", "model": made.model}


def _whole(made: Invented) -> dict[str, Any]:
    return {
        **_head(made),
        "content": [block for block, _ in _blocks(made, filled=True)],
        "stop_reason": _stop_reason(made),
        "stop_sequence": None,
        "usage": _usage(made, made.output_tokens),
    }


def _blocks(made: Invented, *, filled: bool) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each content block, whole or as a stream opens it, with the deltas that fill it."""
    if made.thought:
        thought: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": made.thought},
            {"type": "signature_delta", "signature": _SIGNATURE},
        ]
        yield (thought | {"thinking": made.thought, "signature": _SIGNATURE} if filled else thought), deltas
    if made.tool is not None:
        call: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{made.id[:24]}", "name": made.tool, "input": {}}
        middle = len(made.arguments) // 2
        parts = ("", made.arguments[:middle], made.arguments[middle:])
        if filled:
            call["input"] = json.loads(made.arguments)
        yield call, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    else:
        text = {"type": "text", "text": made.text if filled else ""}
        yield text, [{"type": "text_delta", "text": piece} for piece in made.pieces]


def _stream(made: Invented) -> Iterator[bytes]:
    opening = {**_head(made), "content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(made, 1)}
    yield named_event({"type": "message_start", "message": opening})
    for index, (block, deltas) in enumerate(_blocks(made, filled=False)):
        yield named_event({"type": "content_block_start", "index": index, "content_block": block})
        if index == 0:
            yield named_event({"type": "ping"})
        for delta in deltas:
            yield named_event({"type": "content_block_delta", "index": index, "delta": delta})
        yield named_event({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": _stop_reason(made), "stop_sequence": None}
    yield named_event({"type": "message_delta", "delta": ending, "usage": _usage(made, made.output_tokens)})
    yield named_event({"type": "message_stop"})
