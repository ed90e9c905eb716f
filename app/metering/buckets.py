"""Splits a provider's usage object into disjoint billable buckets: the one place where that is done.

OpenAI and those who speak its formats count cached and written input inside the prompt and reasoning inside the
completion; Anthropic counts cached and written input beside `input_tokens`. Gemini hides its thinking in the total.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from app.domain import ExtraPass, Usage
from app.metering.counters import Counters, as_number, fields_of, plain_name

GROQ_MINIMUM_MILLISECONDS = 10_000
"""Groq bills each transcription as ten seconds at least."""

_COUNTERS = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "seconds",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_EXTRA_PASSES = frozenset(("compaction", "advisor_message"))
_COUNTED_PASSES = frozenset(("message", "fallback_message"))


def split(
    provider: str, endpoint: str, usage: dict[str, Any] | None, web_search_calls: int, input_characters: int
) -> Usage | None:
    """The billable quantities of one usage object and of what Lectr counted beside it; None = no usage.

    `endpoint` is the ledger name. `input_characters` (text to be spoken) is what `audio.speech` is billed by, where
    its answer has no usage of its own.
    """
    if not usage or not any(as_number(usage.get(key)) is not None for key in _COUNTERS):
        if endpoint == "audio.speech" and input_characters:
            return Usage(input_characters=input_characters)
        return None
    return _SPLITS.get(endpoint, _openai)(provider, endpoint, usage, web_search_calls)


def _openai(provider: str, endpoint: str, usage: dict[str, Any], searches: int) -> Usage:
    read = Counters()
    count = read.count
    prompt = count(usage, "prompt_tokens", "input_tokens")
    completion = count(usage, "completion_tokens", "output_tokens")
    into = fields_of(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out = fields_of(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    if provider != "gemini" and not (_says_more(into) or _says_more(out) or usage.get("cached_tokens")):
        # Most answers: their details are zeros.
        return Usage(input_tokens=prompt, output_tokens=completion, web_searches=searches, flags=read.flags)
    reasoning = count(out, "reasoning_tokens")
    if provider == "gemini" and as_number(usage.get("prompt_tokens")) is not None:
        # Gemini's compatible endpoint shows thinking in the total alone; where it also shows it as a detail, the
        # difference is the same, so nothing is counted twice.
        hidden = count(usage, "total_tokens") - prompt - completion
        if hidden > 0:
            completion += hidden
            reasoning = max(reasoning, hidden)
    cached = count(into, "cached_tokens") or count(usage, "cached_tokens")
    written_12h = count(into, "cache_write_12h_tokens")
    written = max(count(into, "cache_write_tokens") - written_12h, 0)
    parts = fields_of(into, "cached_tokens_details")
    cached_audio = min(count(parts, "audio_tokens"), cached)
    cached_image = min(count(parts, "image_tokens"), cached - cached_audio)
    audio = read.rest(count(into, "audio_tokens"), cached_audio)
    image = read.rest(count(into, "image_tokens"), cached_image)
    audio_out = count(out, "audio_tokens")
    image_out = count(out, "image_tokens")
    return Usage(
        input_tokens=read.rest(prompt, cached, written, written_12h, audio, image),
        cache_read_input_tokens=cached - cached_audio - cached_image,
        cache_read_audio_tokens=cached_audio,
        cache_read_image_tokens=cached_image,
        cache_write_5m_input_tokens=written,
        cache_write_12h_input_tokens=written_12h,
        input_audio_tokens=audio,
        input_image_tokens=image,
        output_tokens=read.rest(completion, audio_out, image_out),
        reasoning_tokens=reasoning,
        output_audio_tokens=audio_out,
        output_image_tokens=image_out,
        web_searches=searches,
        flags=read.flags,
    )


def _says_more(details: dict[str, Any]) -> bool:
    return any(details.values())


def _images(provider: str, endpoint: str, usage: dict[str, Any], searches: int) -> Usage:
    split = _openai(provider, endpoint, usage, searches)
    if split.output_image_tokens or as_number(fields_of(usage, "output_tokens_details").get("text_tokens")) is not None:
        return split
    # An image endpoint that does not say what its output was made an image.
    return Usage(
        input_tokens=split.input_tokens,
        cache_read_input_tokens=split.cache_read_input_tokens,
        cache_read_image_tokens=split.cache_read_image_tokens,
        input_image_tokens=split.input_image_tokens,
        output_image_tokens=split.output_tokens,
        flags=split.flags,
    )


def _transcription(provider: str, endpoint: str, usage: dict[str, Any], searches: int) -> Usage:
    seconds = as_number(usage.get("seconds"))
    if seconds is None:
        return _openai(provider, endpoint, usage, searches)
    read = Counters()
    milliseconds = read.whole(round(seconds * 1000, 6))
    if provider == "groq":
        milliseconds = max(milliseconds, GROQ_MINIMUM_MILLISECONDS)
    return Usage(audio_milliseconds=milliseconds, flags=read.flags)


def _messages(provider: str, endpoint: str, usage: dict[str, Any], searches: int) -> Usage:
    read = Counters()
    passes = usage.get("iterations")
    extra, largest = _passes(usage, passes, read) if isinstance(passes, list) and passes else ((), None)
    top = _pass(usage, _modifiers(usage), read)
    return msgspec.structs.replace(
        top,
        reasoning_tokens=read.count(fields_of(usage, "output_tokens_details"), "thinking_tokens"),
        web_searches=read.count(fields_of(usage, "server_tool_use"), "web_search_requests"),
        flags=read.flags,
        extra_passes=extra,
        largest_pass_tokens=largest,
    )


def _pass(usage: dict[str, Any], modifiers: dict[str, str], read: Counters) -> Usage:
    parts = fields_of(usage, "cache_creation")
    five_minutes = read.count(parts, "ephemeral_5m_input_tokens")
    one_hour = read.count(parts, "ephemeral_1h_input_tokens")
    written = read.count(usage, "cache_creation_input_tokens")
    if as_number(usage.get("cache_creation_input_tokens")) is None:
        written = five_minutes + one_hour
    elif one_hour > written:
        # The parts are a stale copy from the start of the stream, the total is the last word.
        read.flag("usage_clamped")
        one_hour = written
    return Usage(
        input_tokens=read.count(usage, "input_tokens"),
        cache_read_input_tokens=read.count(usage, "cache_read_input_tokens"),
        # Whatever the parts leave over was written at the usual rate.
        cache_write_5m_input_tokens=written - one_hour,
        cache_write_1h_input_tokens=one_hour,
        output_tokens=read.count(usage, "output_tokens"),
        modifiers=modifiers,
    )


def _passes(usage: dict[str, Any], passes: list[Any], read: Counters) -> tuple[tuple[ExtraPass, ...], int | None]:
    extra: list[ExtraPass] = []
    largest: int | None = None
    shared = _modifiers(usage)
    geo = {key: value for key, value in shared.items() if key == "inference_geo"}
    for item in passes:
        if not isinstance(item, dict):
            continue
        kind = plain_name(item.get("type"))
        model = plain_name(item.get("model"))
        # A pass of another model runs at that model's usual speed, whatever the main one was asked for.
        split = _pass(item, {**(shared if model is None else geo), **_modifiers(item)}, read)
        if kind in _EXTRA_PASSES:
            extra.append(ExtraPass(model, split))
        elif kind in _COUNTED_PASSES:
            largest = max(largest or 0, split.total_input_tokens)
        else:
            read.flag("unknown_pass")
    return tuple(extra), largest


def _modifiers(usage: dict[str, Any]) -> dict[str, str]:
    return {
        key: value
        for key in ("speed", "inference_geo")
        if (value := plain_name(usage.get(key))) is not None and value not in ("standard", "global", "not_available")
    }


_SPLITS: dict[str, Callable[[str, str, dict[str, Any], int], Usage]] = {
    "messages": _messages,
    "images.generations": _images,
    "audio.transcriptions": _transcription,
    "audio.translations": _transcription,
}
