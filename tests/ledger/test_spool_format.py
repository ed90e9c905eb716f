"""Records in a segment: what was written is found again, and a damaged segment gives everything but its damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.spool_format import END, MAX_BODY_BYTES, OVERHEAD_BYTES, START, Found, frame, read_segment

bodies = st.lists(st.binary(max_size=80), max_size=8)
ROOM = bytes(64)


def segment(*records: bytes) -> bytes:
    return b"".join(frame(END, body) for body in records) + ROOM


@given(bodies, st.integers(0, 40))
def test_what_was_written_is_read_in_order(written: list[bytes], room: int) -> None:
    found = read_segment(b"".join(frame(START, body) for body in written) + bytes(room))
    assert [record.body for record in found.records] == written
    assert all(record.known and record.kind == START for record in found.records)
    assert (found.damaged, found.torn) == (0, False)


@given(bodies.filter(bool), st.data())
def test_a_torn_end_costs_the_record_being_written_and_no_other(written: list[bytes], data: st.DataObject) -> None:
    # A record whose end is zeros is whole again where only zeros were torn off.
    written = [body + b"." for body in written]
    whole = b"".join(frame(END, body) for body in written)
    last = len(frame(END, written[-1]))
    kept = len(whole) - data.draw(st.integers(1, last - 1))
    found = read_segment(whole[:kept] + ROOM)
    assert [record.body for record in found.records] == written[:-1]
    assert (found.damaged, found.torn) == (0, True)


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=2, max_size=8), st.data())
def test_a_changed_byte_in_the_middle_costs_one_record_and_is_counted(
    written: list[bytes], data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, len(written) - 2))
    frames = [bytearray(frame(END, body)) for body in written]
    at = data.draw(st.integers(0, len(frames[bad]) - 1))
    frames[bad][at] ^= data.draw(st.integers(1, 255))
    found = read_segment(b"".join(frames) + ROOM)
    assert [record.body for record in found.records] == written[:bad] + written[bad + 1 :]
    assert (found.damaged, found.torn) == (1, False)


@given(st.binary(max_size=400))
def test_no_bytes_make_reading_fail(data: bytes) -> None:
    found = read_segment(data)
    assert sum(len(record.body) + OVERHEAD_BYTES for record in found.records) <= len(data)


def test_a_record_of_another_version_is_given_as_unknown() -> None:
    found = read_segment(frame(END, b"new", version=2) + frame(9, b"kind") + frame(END, b"old"))
    assert found.records == [Found(END, b"new", False), Found(9, b"kind", False), Found(END, b"old", True)]


def test_a_length_beyond_the_end_is_no_record() -> None:
    whole = frame(END, b"abc")
    assert read_segment(whole[:-1]).records == []
    assert read_segment(whole + whole[:5]) == ([Found(END, b"abc", True)], 0, True)


def test_a_body_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        frame(END, bytes(MAX_BODY_BYTES + 1))
    longest = frame(END, bytes(MAX_BODY_BYTES))
    assert len(read_segment(longest).records) == 1
