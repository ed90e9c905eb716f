"""The stand-in's Responses API."""

from collections.abc import Callable, Iterator
from typing import Any

from app.demo.events import named_event
from app.demo.invented import Ask, Invented, JsonObject, Tool, invent, prompt_of, tokens_in


def responses(provider: str, body: JsonObject) -> dict[str, Any] | Iterator[bytes]:
    """The answer of `/responses`: one JSON object, or the events of a stream."""
    wanted = (body.get("text") or {}).get("format") or {}
    made = invent(
        Ask(
            provider=provider,
            model=body["model"],
            prompt=prompt_of(body),
            tool=_tool(body),
            schema=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
            max_tokens=body.get("max_output_tokens"),
        )
    )
    return _stream(made, body) if body.get("stream") else _response(made, body, "done")


def input_tokens(body: JsonObject) -> dict[str, Any]:
    """The answer of `/responses/input_tokens`."""
    return {"object": "response.input_tokens", "input_tokens": 8 + tokens_in(prompt_of(body))}


def _tool(body: JsonObject) -> Tool | None:
    functions = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    choice = body.get("tool_choice")
    given = body.get("input")
    answered = isinstance(given, list) and bool(given) and given[-1].get("type") == "function_call_output"
    if not functions or choice == "none" or answered:
        return None
    if isinstance(choice, dict):
        functions = [function for function in functions if function.get("name") == choice.get("name")] or functions
    return Tool(functions[0].get("name", "tool"), functions[0].get("parameters") or {})


def _usage(made: Invented) -> dict[str, Any]:
    return {
        "input_tokens": made.input_tokens,
        "input_tokens_details": {"cached_tokens": made.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": made.output_tokens,
        "output_tokens_details": {"reasoning_tokens": made.reasoning_tokens},
        "total_tokens": made.input_tokens + made.output_tokens,
    }


def _response(made: Invented, body: JsonObject, stage: str) -> dict[str, Any]:
    """The response object; `stage` is `begun` (no output, no usage yet) or `done`."""
    done = stage == "done"
    status = "in_progress" if not done else "incomplete" if made.cut else "completed"
    return {
        "id": f"resp_{made.id}",
        "object": "response",
        "created_at": made.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": made.model,
        "output": _items(made, filled=True) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default" if done else "auto",
        "store": False,
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(made) if done else None,
        "user": None,
    }


def _items(made: Invented, *, filled: bool) -> list[dict[str, Any]]:
    """The output items, whole or as a stream opens them."""
    items: list[dict[str, Any]] = []
    status = "completed" if filled else "in_progress"
    if made.thought:
        items.append({"id": f"rs_{made.id}", "type": "reasoning", "summary": []})
    if made.tool is not None:
        call = {"id": f"fc_{made.id}", "type": "function_call", "status": status, "call_id": f"call_{made.id[:24]}"}
        items.append({**call, "name": made.tool, "arguments": made.arguments if filled else ""})
    else:
        content = [_text_part(made.text)] if filled else []
        message = {"id": f"msg_{made.id}", "type": "message", "status": status, "role": "assistant"}
        items.append({**message, "content": content})
    return items


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _stream(made: Invented, body: JsonObject) -> Iterator[bytes]:
    number = iter(range(1_000_000))

    def event(type: str, **fields: Any) -> bytes:
        return named_event({"type": type, "sequence_number": next(number), **fields})

    yield event("response.created", response=_response(made, body, "begun"))
    yield event("response.in_progress", response=_response(made, body, "begun"))
    opened, closed = _items(made, filled=False), _items(made, filled=True)
    for index, (before, after) in enumerate(zip(opened, closed, strict=True)):
        yield event("response.output_item.added", output_index=index, item=before)
        if after["type"] == "message":
            yield from _text_events(event, made, index, after["id"])
        elif after["type"] == "function_call":
            yield from _call_events(event, made, index, after["id"])
        yield event("response.output_item.done", output_index=index, item=after)
    ending = "response.incomplete" if made.cut else "response.completed"
    yield event(ending, response=_response(made, body, "done"))


def _text_events(event: Callable[..., bytes], made: Invented, index: int, item_id: str) -> Iterator[bytes]:
    place: dict[str, Any] = {"item_id": item_id, "output_index": index, "content_index": 0}
    yield event("response.content_part.added", **place, part=_text_part(""))
    for piece in made.pieces:
        yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
    yield event("response.output_text.done", **place, text=made.text, logprobs=[])
    yield event("response.content_part.done", **place, part=_text_part(made.text))


def _call_events(event: Callable[..., bytes], made: Invented, index: int, item_id: str) -> Iterator[bytes]:
    place: dict[str, Any] = {"item_id": item_id, "output_index": index}
    middle = len(made.arguments) // 2
    for part in (made.arguments[:middle], made.arguments[middle:]):
        yield event("response.function_call_arguments.delta", **place, delta=part)
    yield event("response.function_call_arguments.done", **place, name=made.tool, arguments=made.arguments)
