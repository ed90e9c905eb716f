"""Usage objects as the providers write them, for invented counts (wire-facts.md section 3)."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """What one invented request used. `input` includes cached and written tokens, `output` includes reasoning."""

    input: int
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0


def _openai_chat(counts: Counts) -> dict[str, Any]:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "audio_tokens": 0},
    }


def _groq_chat(counts: Counts) -> dict[str, Any]:
    return {
        "queue_time": 0.02,
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }


def _gemini_chat(counts: Counts) -> dict[str, Any]:
    # Thinking is in the total alone.
    usage: dict[str, Any] = {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output - counts.reasoning,
        "total_tokens": counts.input + counts.output,
    }
    if counts.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": counts.cached}
    return usage


def _responses(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cached},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }


def _messages(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input - counts.cached - counts.written,
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.output,
        "service_tier": "standard",
    }


def _embeddings(counts: Counts) -> dict[str, Any]:
    return {"prompt_tokens": counts.input, "total_tokens": counts.input}


def _seconds(counts: Counts) -> dict[str, Any]:
    return {"type": "duration", "seconds": counts.input}


def _image(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"text_tokens": counts.input, "image_tokens": 0},
        "output_tokens": counts.output,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": counts.output},
        "total_tokens": counts.input + counts.output,
    }


USAGES: Mapping[str, Callable[[Counts], dict[str, Any]]] = {
    "openai-chat": _openai_chat,
    "groq-chat": _groq_chat,
    "gemini-chat": _gemini_chat,
    "responses": _responses,
    "messages": _messages,
    "embeddings": _embeddings,
    "seconds": _seconds,
    "image": _image,
}
"""By `Workload.shape`; a shape that is not here has no usage."""
