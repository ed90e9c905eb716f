"""Counters of one process."""

from app.counters import Counters


def test_the_overhead_quantiles_are_those_of_the_requests_counted() -> None:
    counters = Counters()
    assert counters.overhead_quantiles_us() is None
    counters.overheads_us.extend(range(1, 101))
    assert counters.overhead_quantiles_us() == (51, 96, 100)


def test_only_the_last_ten_thousand_overheads_count() -> None:
    counters = Counters()
    counters.overheads_us.extend([5_000_000] + [7] * 10_000)
    assert counters.overhead_quantiles_us() == (7, 7, 7)
