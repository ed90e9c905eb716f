"""No page, filter, search or sort is slow on a large ledger: a fifth of the rows, three times the time of the bar."""

from pathlib import Path

import pytest

from tests.bench.pages import BUILD_LIMIT_S, Timed, limit_ms, measure, served_demo

ROWS = 200_000
ROUNDS = 7
ALLOWED = 3


def slow(timed: list[Timed]) -> list[Timed]:
    """Those over what is allowed; the slowest round of seven is left to what else the machine does."""
    return [one for one in timed if one.quantile(0.85) > ALLOWED * limit_ms(one.path)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_page_filter_search_and_sort_is_quick_at_two_hundred_thousand_rows(tmp_path: Path) -> None:
    with served_demo(tmp_path, ROWS) as (box, took_s):
        assert took_s < ALLOWED * BUILD_LIMIT_S * ROWS / 1_000_000
        late = slow(measure(box, ROUNDS))
        # A machine that was busy for some seconds is asked again, a slow page stays slow.
        for _ in range(2):
            late = slow([box.load(one.path, ROUNDS) for one in late])
    assert [(one.path, round(one.quantile(0.85))) for one in late] == []


def test_a_slow_page_is_seen() -> None:
    quick, once, always = (
        Timed("/quick", [20.0] * 7, 9000),
        Timed("/once", sorted([20.0] * 6 + [5000.0]), 9000),
        Timed("/always", [301.0] * 7, 9000),
    )
    assert slow([quick, once, always]) == [always]
    # The page of advice has a bar of its own, three times as high.
    advice = [Timed("/recommendations", [time_ms] * 7, 9000) for time_ms in (301.0, 901.0)]
    assert slow(advice) == advice[1:]
