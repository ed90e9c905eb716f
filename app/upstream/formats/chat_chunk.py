"""One chunk of a chat completion: what is read of it, as its format promises it or as well as it can be read."""

from typing import Any

import msgspec

from app.upstream.formats.loose import fields_in, items_in, text_in

TEXT_KEYS = ("content", "reasoning", "reasoning_content", "refusal")


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None


class Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class Choice(msgspec.Struct, gc=False):
    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class XGroq(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


class Chunk(msgspec.Struct, gc=False):
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    x_groq: XGroq | None = None
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode


def characters_of(choice: Choice) -> int:
    """How many characters of answer a choice brings: text, reasoning, refusal and arguments of tools."""
    delta = choice.delta or choice.message
    count = len(choice.text) if choice.text else 0
    return count if delta is None else count + _characters(delta)


def _characters(delta: Delta) -> int:
    count = len(delta.content) if delta.content else 0
    if delta.reasoning:
        count += len(delta.reasoning)
    if delta.reasoning_content:
        count += len(delta.reasoning_content)
    if delta.refusal:
        count += len(delta.refusal)
    for call in delta.tool_calls or ():
        if call.function is not None and call.function.arguments:
            count += len(call.function.arguments)
    if delta.function_call is not None and delta.function_call.arguments:
        count += len(delta.function_call.arguments)
    return count


def loose_chunk(fields: dict[str, Any]) -> Chunk:
    """A chunk that the typed decoder refused."""
    # A key with a wrong type is as good as absent; `choices` keeps only whether it was empty.
    usage: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    if "usage" in fields:
        usage = fields["usage"] if isinstance(fields["usage"], dict) or fields["usage"] is None else msgspec.UNSET
    x_groq = fields_in(fields, "x_groq")
    choices = fields.get("choices")
    return Chunk(
        model=text_in(fields, "model"),
        service_tier=text_in(fields, "service_tier"),
        choices=[_loose_choice(choice) for choice in choices] if isinstance(choices, list) else None,
        usage=usage,
        x_groq=XGroq(fields_in(x_groq, "usage")) if x_groq else None,
        error=fields.get("error"),
    )


def _loose_choice(choice: Any) -> Choice:
    delta = fields_in(choice, "delta") or fields_in(choice, "message")
    return Choice(
        delta=Delta(
            content="".join(text_in(delta, key) or _parts(delta, key) for key in TEXT_KEYS),
            tool_calls=[_Call(_loose_function(call, "function")) for call in items_in(delta, "tool_calls")],
            function_call=_loose_function(delta, "function_call"),
        ),
        text=text_in(choice, "text"),
        finish_reason=text_in(choice, "finish_reason"),
    )


def _loose_function(fields: Any, key: str) -> _Function:
    return _Function(text_in(fields_in(fields, key), "arguments"))


def _parts(delta: Any, key: str) -> str:
    return "".join(text_in(part, "text") or "" for part in items_in(delta, key))
