"""Server-sent events as the providers frame them."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def data_event(body: dict[str, Any]) -> bytes:
    """`data: {…}` alone: chat completions and text completions."""
    return b"data: " + _encode(body) + b"\n\n"


def named_event(body: dict[str, Any]) -> bytes:
    """`event: <type>` and `data: {…}`: Responses and Anthropic's messages; the name is the body's `type`."""
    return b"event: " + str(body["type"]).encode() + b"\ndata: " + _encode(body) + b"\n\n"


def done_event() -> bytes:
    """The end of a chat completions stream."""
    return b"data: [DONE]\n\n"
