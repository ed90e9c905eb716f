"""Recorded streams of the five providers: any cut gives the same, and what Lectr added leaves no trace."""

import json
import re
from typing import Any

from tests.upstream.formats.exchanges import FORMATS, answered, content_type, streamed
from tests.upstream.formats.streams import fed

SMALL = 8_000


def test_at_least_thirty_streams_read_the_same_cut_at_every_byte() -> None:
    small = [each for each in streamed() if len(each["response_body"]) <= SMALL]
    assert len(small) >= 30
    assert {each["provider"] for each in small} >= {"openai", "anthropic", "groq", "azure"}
    for exchange in small:
        body, format = exchange["response_body"].encode(), FORMATS[exchange["endpoint"]]
        for usage_added in {False, format == "openai-chat"}:
            whole = fed(format, [body], usage_added=usage_added)
            for at in range(1, len(body)):
                assert fed(format, [body[:at], body[at:]], usage_added=usage_added) == whole, (exchange["id"], at)


def test_every_stream_reads_the_same_byte_by_byte() -> None:
    for exchange in streamed():
        body, format = exchange["response_body"].encode(), FORMATS[exchange["endpoint"]]
        for usage_added in (False, True):
            whole = fed(format, [body], usage_added=usage_added)
            bytewise = fed(format, [body[at : at + 1] for at in range(len(body))], usage_added=usage_added)
            assert bytewise == whole, exchange["id"]


def test_every_stream_reads_the_same_with_windows_line_ends() -> None:
    for exchange in streamed():
        body, format = exchange["response_body"], FORMATS[exchange["endpoint"]]
        other = re.sub(r"\r\n|\n", "\r\n", body).encode()
        assert fed(format, [other])[0] == fed(format, [body.encode()])[0], exchange["id"]


def test_what_came_only_because_lectr_asked_is_taken_out_again() -> None:
    seen = 0
    for exchange in streamed():
        if FORMATS[exchange["endpoint"]] not in ("openai-chat", "openai-completions"):
            continue
        body = exchange["response_body"].encode()
        reply, client = fed(FORMATS[exchange["endpoint"]], [body], usage_added=True)
        assert client == without_usage(body), exchange["id"]
        assert reply == fed(FORMATS[exchange["endpoint"]], [body])[0]
        seen += client != body
    assert seen >= 10


def without_usage(body: bytes) -> bytes:
    """By hand: blocks whose choices are empty and that have a usage go, compact `"usage":null` members too."""
    kept = []
    for block in re.split(rb"(?<=\n\n)", body):
        text = block.strip().removeprefix(b"data:").strip()
        chunk: Any = json.loads(text) if text.startswith(b"{") else {}
        if chunk.get("choices") == [] and chunk.get("usage"):
            continue
        kept.append(re.sub(rb',\s*"usage":\s*null(?=[,}])', b"", block))
    return b"".join(kept)


def test_every_answer_passes_unchanged_and_fails_no_reader() -> None:
    exchanges = answered()
    assert len(exchanges) > 100
    for exchange in exchanges:
        body = exchange["response_body"].encode()
        reply, client = fed(FORMATS[exchange["endpoint"]], [body], content_type=content_type(exchange))
        assert client == body
        assert not reply.reader_failed, exchange["id"]
        assert reply.ended, exchange["id"]
