"""Faults 20, 22 and 33, threats 28 and 36, in small: `make soak` runs them with their whole numbers."""

import pytest

from tests.security.load import Caller, Tally, document, event
from tests.security.soak import PARTS, soak

SHARES = {"streams": 0.05, "nonces": 0.03, "stalled": 0.1, "starved": 0.02}


def found(part: str) -> Tally:
    tally = soak(part, SHARES[part])
    assert dict(tally.problems) == {}, tally.measured
    return tally


def test_f20_streams_at_once_arrive_whole_and_leave_nothing() -> None:
    measured = found("streams").measured
    assert measured["round 2"]["streams"] == 50


def test_t36_and_f22_nobody_gets_anothers_answer_and_nothing_stays() -> None:
    measured = found("nonces").measured
    assert measured["requests"] == 1500
    assert measured["reached the provider"] > 750


def test_t28_many_stalled_clients_are_closed_in_time_and_harm_nobody() -> None:
    measured = found("stalled").measured
    assert measured["stalled"] == 48
    assert measured["good requests"] > 50


def test_f33_without_cpu_nothing_fails_and_every_row_is_written() -> None:
    measured = found("starved").measured
    assert (measured["requests"], measured["rows"]) == (200, 200)


def test_every_part_of_the_soak_is_tried_here_but_the_longest() -> None:
    assert PARTS.keys() - SHARES.keys() == {"memory"}


@pytest.mark.anyio
async def test_an_answer_of_another_would_be_seen() -> None:
    caller = Caller()
    caller.begin()
    body = document(b"n1-00000000") + event(b"n2-11111111", 0, null=False)
    caller.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    assert caller.whole
    assert b"n2-11111111" in bytes(caller.body or b"")
