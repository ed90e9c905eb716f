"""Events come out of any cut of a stream the same, in bounded memory, and no byte is lost or delayed."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.sse import KEPT_OF_OVERSIZED, MAX_EVENT_BYTES, Event, SseSplitter

LINE_ENDS = ("\n", "\r\n", "\r")


def payloads(chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    splitter = SseSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)] + splitter.finish()
    return [(event.name, event.data) for event in events if event.data is not None]


def by_the_book(stream: bytes) -> list[tuple[bytes, bytes]]:
    """WHATWG HTML 9.2.6 over the whole stream, but that the last event needs no blank line."""
    if stream.startswith(b"\xef\xbb\xbf"):
        stream = stream[3:]
    found: list[tuple[bytes, bytes]] = []
    name, data = b"", list[bytes]()
    for line in [*stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), b""]:
        if not line:
            if data:
                found.append((name, b"\n".join(data)))
            name, data = b"", []
            continue
        field, colon, value = line.partition(b":")
        value = value[1:] if colon and value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.strip()
    return found


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


lines = st.sampled_from(
    ["data: {}", "data:x", "data", "data: two  ", "event: ping", "event:e", ": note", "id: 7", "retry: 5", "", "odd"]
)
streams = st.lists(st.tuples(lines, st.sampled_from(LINE_ENDS)), max_size=30).map(
    lambda parts: "".join(line + end for line, end in parts).encode()
)


@given(streams, st.booleans(), st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400, deadline=None)
def test_any_stream_cut_anywhere_gives_the_events_of_the_standard(stream: bytes, mark: bool, cuts: list[int]) -> None:
    stream = (b"\xef\xbb\xbf" if mark else b"") + stream
    assert payloads(pieces(stream, cuts)) == by_the_book(stream)


@given(streams, st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400, deadline=None)
def test_the_raw_bytes_of_all_events_are_the_stream(stream: bytes, cuts: list[int]) -> None:
    splitter = SseSplitter(keep_raw=True)
    came, gone = b"", b""
    for chunk in pieces(stream, cuts):
        came += chunk
        gone += b"".join(event.raw for event in splitter.feed(chunk))
        assert gone + splitter.held == came
    gone += b"".join(event.raw for event in splitter.finish())
    assert gone == stream


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_is_given_out_with_its_blank_line_not_later(end: str) -> None:
    splitter = SseSplitter(keep_raw=True)
    stream = f"data: a{end}{end}".encode()
    assert [event.data for event in splitter.feed(stream)] == [b"a"]
    assert [event.data for event in splitter.feed(stream)][-1:] == [b"a"]


def test_an_event_tells_whether_it_held_more_than_its_payload() -> None:
    splitter = SseSplitter(keep_raw=True)
    stream = b"event: x\ndata: 1\n\n: note\ndata: 2\n\n"
    assert splitter.feed(stream) == [
        Event(b"1", b"event: x\ndata: 1\n\n", b"x", True),
        Event(b"2", b": note\ndata: 2\n\n", b"", False),
    ]


@pytest.mark.parametrize("keep_raw", [False, True])
def test_an_oversized_event_passes_and_leaves_its_two_ends(keep_raw: bool) -> None:
    splitter = SseSplitter(keep_raw=keep_raw)
    long = b"data: " + b"a" * (3 * MAX_EVENT_BYTES) + b"end\n\n"
    events: list[Event] = []
    longest = 0
    for start in range(0, len(long), 4096):
        events += splitter.feed(long[start : start + 4096])
        longest = max(longest, len(splitter.held))
    after = splitter.feed(b"data: next\n\n")
    assert longest <= MAX_EVENT_BYTES + 4096
    assert [event.data for event in after] == [b"next"]
    assert all(event.data is None for event in events)
    (cut,) = [event.cut for event in events if event.cut]
    assert cut[0] == long[:KEPT_OF_OVERSIZED]
    assert cut[1] == long[-KEPT_OF_OVERSIZED:]
    if keep_raw:
        assert b"".join(event.raw for event in events) == long


def test_a_line_that_drips_byte_by_byte_costs_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        splitter = SseSplitter()
        began = time.perf_counter()
        for _ in range(size):
            splitter.feed(b"x")
        return time.perf_counter() - began

    seconds(10_000)
    assert seconds(200_000) < 60 * max(seconds(20_000), 0.002)
