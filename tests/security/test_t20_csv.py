"""Threat 20: a spreadsheet that opens an export runs nothing."""

import csv
import io

import pytest

from app.ledger.export import csv_text

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TAILS = ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://evil.test","x")', "SUM(A1:A9)*cmd|'x'!A1", "", '"";=1', "1;=2")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("tail", TAILS)
def test_t20_no_cell_is_a_formula(start: str, tail: str) -> None:
    text = csv_text([["plain", start + tail, 5, -5]])
    [[plain, cell, five, minus]] = list(csv.reader(io.StringIO(text, newline="")))
    assert (plain, five, minus) == ("plain", "5", "-5")
    assert cell == f"'{start}{tail}"
