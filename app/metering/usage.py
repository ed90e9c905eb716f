"""Usage of one answer: as the provider told it, as the ledger keeps it, and as it is estimated where it is missing."""

import msgspec

from app.domain import Reply, Usage
from app.metering.buckets import split
from app.metering.recorded import usage_from_json, usage_json

__all__ = ["estimate_usage", "split_usage", "usage_from_json", "usage_json"]

BYTES_PER_TOKEN = 4
CHARACTERS_PER_TOKEN = 4


def split_usage(provider: str, endpoint: str, reply: Reply, *, input_characters: int = 0) -> Usage | None:
    """The billable quantities of one answer in disjoint buckets, or None where it brought no usage. Never raises.

    `endpoint` is the ledger name; `input_characters` is the text to be spoken of an `audio.speech` request.
    """
    try:
        return split(provider, endpoint, reply.usage, reply.web_search_calls, input_characters)
    except Exception:
        return None


def estimate_usage(prompt_bytes: int, reply: Reply, seen: Usage | None, *, input_only: bool = False) -> Usage:
    """What a request probably used that ended before its usage came; `seen` = the counters that did come.

    Missing input is `prompt_bytes` / 4 and missing output the characters received / 4, both rounded up. An output
    counter that was seen is the provider's count so far: it stands unless more text than that came after it.
    `input_only` is for rows that were found interrupted, of whose answer nothing is known.
    """
    usage = seen or Usage()
    if usage.input_characters or usage.audio_milliseconds:
        return usage
    incoming = usage.input_tokens if usage.total_input_tokens else -(-prompt_bytes // BYTES_PER_TOKEN)
    outgoing = -(-reply.output_characters // CHARACTERS_PER_TOKEN)
    if input_only or usage.output_tokens > outgoing:
        outgoing = usage.output_tokens
    return msgspec.structs.replace(usage, input_tokens=incoming, output_tokens=outgoing)
