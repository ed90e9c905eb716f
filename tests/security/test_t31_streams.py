"""Threats 22, 30 and 31: no stream, however long or odd, is changed, kept or stops the loop."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.formats import FORMAT_BY_ENDPOINT, reader_for
from tests.edge.asking import asking
from tests.edge.provider import Call, Provider, chat_events
from tests.running import Lectr, Raw
from tests.security.test_t27_floods import resident

MIB = 1024 * 1024
KINDS = ("text/event-stream", "application/json", "text/event-stream; charset=utf-8", "", "audio/mpeg")
PIECES = (
    b"data: ", b"data:", b"event: ", b"\n", b"\r", b"\r\n", b"\n\n", b": comment", b"[DONE]", b'{"usage":', b"null",
    b'{"choices":[],"usage":{"prompt_tokens":1}}', b'"usage":null,', b',"usage":null', b"\xff", b"\xe2\x80", b"\xa8",
    b'{"type":"message_delta","usage":{"output_tokens":-1}}', b"[" * 200, b'"\\ud800"', b"1e999", b"\0", b"}",
    b'{"error":{"code":7}}',
)  # fmt: skip


def test_t31_a_line_of_200_megabytes_passes_in_little_memory(lectr: Lectr, provider: Provider) -> None:
    pieces, size = 200, MIB

    async def play(call: Call) -> None:
        await call.stream(b"data: ")
        for _ in range(pieces):
            await call.chunk(b"x" * size)
        await call.end()

    sent = lectr.raw("/v1/chat/completions", asking(stream=True), provider.plays_as(play))
    before, most, got = resident(), 0, 0
    with Raw(lectr.port) as raw:
        raw.send(sent)
        while got < pieces * size:
            data = raw.socket.recv(MIB)
            assert data, "the stream ended early"
            got += len(data)
            most = max(most, resident() - before)
    assert most < 48 * MIB


def test_one_byte_chunks_arrive_as_they_were_sent(lectr: Lectr, provider: Provider) -> None:
    whole = b"".join(chat_events(*("word " * 20).split(), usage=False))

    async def play(call: Call) -> None:
        await call.stream()
        for at in range(len(whole)):
            await call.chunk(whole[at : at + 1])
        await call.end()

    body = asking(stream=True, stream_options={"include_usage": True})
    assert lectr.call(body=body, headers=provider.plays_as(play)).body == whole


@pytest.mark.parametrize("format", sorted(set(FORMAT_BY_ENDPOINT.values())))
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=40),
    st.sampled_from(KINDS),
    st.integers(0),
)
def test_t31_f08_no_bytes_break_a_reader_or_are_changed_by_it(
    format: str, pieces: list[bytes], kind: str, seed: int
) -> None:
    whole = b"".join(pieces)
    reader = reader_for(format, content_type=kind)
    if reader is None:
        return
    cuts, passed, at = random.Random(seed), b"", 0
    while at < len(whole):
        step = cuts.choice((1, 2, 7, 100))
        passed += reader.feed(whole[at : at + step])
        at += step
    assert passed + reader.finish() == whole
