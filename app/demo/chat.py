"""The stand-in's chat completions, in the dialects of five providers, and the older text completions."""

from collections.abc import Iterator
from typing import Any

from app.demo.events import data_event, done_event
from app.demo.invented import Ask, Invented, JsonObject, Tool, invent, prompt_of

_PLAIN_JSON: JsonObject = {"type": "object", "properties": {"answer": {"type": "string"}}}
_FILTERED = {"hate": {"filtered": False, "severity": "safe"}}


def chat(provider: str, body: JsonObject) -> dict[str, Any] | Iterator[bytes]:
    """The answer of `/chat/completions`: one JSON object, or the events of a stream."""
    made = invent(_ask(provider, body))
    choices = body.get("n") or 1
    if body.get("stream"):
        options = body.get("stream_options") or {}
        return _stream(provider, made, choices, asked_usage=bool(options.get("include_usage")))
    return _whole(provider, made, choices)


def completions(provider: str, body: JsonObject) -> dict[str, Any] | Iterator[bytes]:
    """The answer of `/completions`."""
    prompt = body.get("prompt")
    text = prompt if isinstance(prompt, str) else str(prompt or "")
    limit = body.get("max_tokens") or 16
    made = invent(Ask(provider=provider, model=body["model"], prompt=text, max_tokens=limit))
    head = {
        "id": f"cmpl-{made.id[:28]}",
        "object": "text_completion",
        "created": made.created,
        "model": made.model,
    }
    finish = "length" if made.cut else "stop"
    if body.get("stream"):
        asked = bool((body.get("stream_options") or {}).get("include_usage"))
        return _completion_stream(head, made, finish, asked_usage=asked)
    choice = {"text": made.text, "index": 0, "logprobs": None, "finish_reason": finish}
    return {**head, "choices": [choice], "usage": chat_usage("groq", made)}


def _completion_stream(head: JsonObject, made: Invented, finish: str, *, asked_usage: bool) -> Iterator[bytes]:
    null_usage = {"usage": None} if asked_usage else {}
    for piece in made.pieces:
        choice = {"text": piece, "index": 0, "logprobs": None, "finish_reason": None}
        yield data_event({**head, "choices": [choice], **null_usage})
    last = {"text": "", "index": 0, "logprobs": None, "finish_reason": finish}
    yield data_event({**head, "choices": [last], **null_usage})
    if asked_usage:
        yield data_event({**head, "choices": [], "usage": chat_usage("anthropic", made)})
    yield done_event()


def chat_usage(provider: str, made: Invented) -> dict[str, Any]:
    """The usage object as the provider writes it (wire-facts.md sections 3.1, 3.4 and 3.5)."""
    visible = made.output_tokens - made.reasoning_tokens
    # Gemini's thinking shows up in the total alone.
    completion = visible if provider == "gemini" else made.output_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": made.input_tokens,
        "completion_tokens": completion,
        "total_tokens": made.input_tokens + made.output_tokens,
    }
    if provider == "groq":
        usage |= {"queue_time": 0.02, "prompt_time": 0.01, "completion_time": 0.05, "total_time": 0.06}
        if made.reasoning_tokens:
            usage["completion_tokens_details"] = {"reasoning_tokens": made.reasoning_tokens}
    if provider in ("openai", "azure"):
        usage["prompt_tokens_details"] = {"cached_tokens": made.cached_tokens, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": made.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        }
    elif made.cached_tokens and provider != "anthropic":
        usage["prompt_tokens_details"] = {"cached_tokens": made.cached_tokens}
    return usage


def _ask(provider: str, body: JsonObject) -> Ask:
    messages = body.get("messages") or []
    wanted = body.get("response_format") or {}
    schema: JsonObject | None = None
    if wanted.get("type") == "json_object":
        schema = _PLAIN_JSON
    elif wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or _PLAIN_JSON
    answered = bool(messages) and isinstance(messages[-1], dict) and messages[-1].get("role") in ("tool", "function")
    return Ask(
        provider=provider,
        model=body["model"],
        prompt=prompt_of(body),
        tool=None if answered else _tool(body),
        schema=schema,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _tool(body: JsonObject) -> Tool | None:
    functions = [tool["function"] for tool in body.get("tools") or [] if isinstance(tool.get("function"), dict)]
    choice = body.get("tool_choice")
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        wanted = (choice.get("function") or {}).get("name")
        functions = [function for function in functions if function.get("name") == wanted] or functions
    return Tool(functions[0].get("name", "tool"), functions[0].get("parameters") or {})


def _head(provider: str, made: Invented, kind: str) -> dict[str, Any]:
    head: dict[str, Any] = {
        "id": f"chatcmpl-{made.id[:29]}",
        "object": kind,
        "created": made.created,
        "model": made.model,
    }
    if provider in ("openai", "azure"):
        head |= {"service_tier": "default", "system_fingerprint": "fp_demo"}
    elif provider == "groq":
        head |= {"system_fingerprint": "fp_demo", "service_tier": "on_demand"}
    return head


def _finish(made: Invented) -> str:
    return "tool_calls" if made.tool else "length" if made.cut else "stop"


def _whole(provider: str, made: Invented, choices: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if made.tool else made.text}
    if provider in ("openai", "azure"):
        message |= {"refusal": None, "annotations": []}
    if made.tool:
        call = {"name": made.tool, "arguments": made.arguments}
        message["tool_calls"] = [{"id": f"call_{made.id[:24]}", "type": "function", "function": call}]
    choice: dict[str, Any] = {"message": message, "logprobs": None, "finish_reason": _finish(made)}
    body = _head(provider, made, "chat.completion")
    if provider == "azure":
        choice["content_filter_results"] = _FILTERED
        body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
    body["choices"] = [{"index": index, **choice} for index in range(choices)]
    body["usage"] = chat_usage(provider, made)
    if provider == "groq":
        body["x_groq"] = {"id": f"req_{made.id[:26]}"}
    return body


def _stream(provider: str, made: Invented, choices: int, *, asked_usage: bool) -> Iterator[bytes]:
    head = _head(provider, made, "chat.completion.chunk")
    null_usage = {"usage": None} if asked_usage and provider in ("openai", "azure") else {}
    usage = chat_usage(provider, made)
    groq_id = f"req_{made.id[:26]}"
    if provider == "azure":
        filtered = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
        yield data_event({"choices": [], "created": 0, "id": "", "model": "", "prompt_filter_results": filtered})
    for number, delta in enumerate(_deltas(made)):
        first = {"x_groq": {"id": groq_id}} if provider == "groq" and number == 0 else {}
        for index in range(choices):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield data_event({**head, "choices": [choice], **null_usage, **first})
    last: dict[str, Any] = {}
    if provider == "groq":
        last = {"x_groq": {"id": groq_id, "usage": usage}, "usage": usage}
    elif provider == "gemini" and asked_usage:
        last = {"usage": usage}
    for index in range(choices):
        end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(made)}
        yield data_event({**head, "choices": [end], **null_usage, **last})
    if asked_usage and provider != "gemini":
        yield data_event({**head, "choices": [], "usage": usage})
    yield done_event()


def _deltas(made: Invented) -> Iterator[dict[str, Any]]:
    if made.tool is None:
        yield {"role": "assistant", "content": ""}
        for piece in made.pieces:
            yield {"content": piece}
        return
    call = {"name": made.tool, "arguments": ""}
    opening = {"index": 0, "id": f"call_{made.id[:24]}", "type": "function", "function": call}
    yield {"role": "assistant", "content": None, "tool_calls": [opening]}
    middle = len(made.arguments) // 2
    for part in (made.arguments[:middle], made.arguments[middle:]):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
