"""Small answers made up for the tests, and ways to feed them."""

import itertools
import json
from typing import Any

from app.domain import Reply
from app.upstream.formats import reader_for
from app.upstream.formats.reader import AnswerReader

DONE = b"data: [DONE]\n\n"


def event(payload: Any, name: str = "", end: str = "\n") -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
    return (f"event: {name}{end}" if name else "").encode() + f"data: {text}{end}{end}".encode()


def chat_chunk(content: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"id": "c1", "model": "made-up-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}


def usage_chunk(prompt: int, completion: int) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "c1", "model": "made-up-1", "choices": [], "usage": usage}


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(edges)]


def fed(format: str, chunks: list[bytes], *, usage_added: bool = False, content_type: str = "") -> tuple[Reply, bytes]:
    """What a reader learns of these chunks, and what the client got."""
    reader = reader_for(format, content_type=content_type, usage_added=usage_added)
    assert isinstance(reader, AnswerReader)
    client = b""
    for chunk in chunks:
        out = reader.feed(chunk)
        if not usage_added:
            assert out is chunk
        client += out
    client += reader.finish()
    assert reader.terminal == reader.reply.ended
    return reader.reply, client


def learned(format: str, body: bytes) -> Reply:
    return fed(format, [body])[0]
