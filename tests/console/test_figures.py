from decimal import Decimal

import pytest

from app.catalog.schema import UNITS
from app.console import figures, units


@pytest.mark.parametrize(
    ("picousd", "shown"),
    [
        (None, "$0.00 (pricing unavailable)"),
        (0, "$0.00"),
        (1, "<$0.000001"),
        (450_000_000, "$0.000450"),
        (1_234_567_890_123, "$1.234568"),
    ],
)
def test_cost_of_one_request_has_six_decimals(picousd: int | None, shown: str) -> None:
    assert figures.cost(picousd) == shown


@pytest.mark.parametrize(
    ("picousd", "shown"),
    [
        (None, "$0.00 (pricing unavailable)"),
        (0, "$0.00"),
        (10**6, "<$0.0001"),
        (156_700_000_000, "$0.16"),
        (99_900_000_000, "$0.0999"),
        (1_234_565 * 10**9, "$1,234.56"),
        (-2 * 10**12, "-$2.00"),
    ],
)
def test_sums_are_shown_to_the_sensible_digit(picousd: int | None, shown: str) -> None:
    assert figures.money(picousd) == shown


@pytest.mark.parametrize(
    ("picousd", "shown"), [(1, "$0.000000000001"), (2_500_000_000, "$0.0025"), (10**16, "$10,000.00"), (0, "$0.00")]
)
def test_exact_money_keeps_every_digit(picousd: int, shown: str) -> None:
    assert figures.exact_money(picousd) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "—"), (0, 9, "0 %"), (9, 9, "100 %"), (1, 9999, "<0.1 %"), (9998, 9999, ">99.9 %"), (92, 9904, "0.9 %")],
)
def test_a_share_never_rounds_to_none_or_all(part: int, whole: int, shown: str) -> None:
    assert figures.share(part, whole) == shown


def test_rates_keep_their_listed_digits() -> None:
    assert [figures.rate(Decimal(text)) for text in ("2.5", "0.075", "30")] == ["$2.50", "$0.075", "$30.00"]
    assert figures.rate(None) == "—"


def test_durations_and_counts_read_like_people_write_them() -> None:
    assert [figures.duration(ms) for ms in (None, 84, 1240, 125_000)] == ["—", "84 ms", "1.24 s", "2 min 5 s"]
    assert [figures.compact(n) for n in (None, 987, 12_345, 4_560_000, 131_072)] == [
        "—",
        "987",
        "12.3k",
        "4.56M",
        "131k",
    ]
    assert [figures.microseconds(n) for n in (840, 1240)] == ["840 µs", "1.24 ms"]


def test_every_unit_of_a_price_list_has_a_name_and_an_amount() -> None:
    for name in UNITS:
        assert units.unit(name) != name.replace("_", " ").capitalize(), name
        assert units.per(name) in ("per 1M", "per hour", "per 1,000")
    assert (units.unit("web_searches_kcount"), units.per("web_searches_kcount")) == ("Web searches", "per 1,000")
    assert (units.unit("pages_parsed"), units.per("pages_parsed")) == ("Pages parsed", "each")
