"""`format=csv` and `ndjson`: all rows that match, every column of section 7 in order, nothing a spreadsheet runs."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import LedgerEntry
from app.ledger.export import ROW_NAMES, csv_line, csv_text, row_of
from tests.api.serving import Lectr
from tests.api.traffic import rows
from tests.ledger.builders import entry

SECTION_7 = """
id started_at finished_at key provider detected_by flags request_model response_model endpoint streamed status outcome
error_code error_source ttfb_ms duration_ms overhead_us input_tokens cache_read_input_tokens
cache_write_5m_input_tokens cache_write_1h_input_tokens output_tokens reasoning_tokens input_audio_tokens
output_audio_tokens usage_json usage_source service_tier cost_picousd cost_usd cost_reason price_entry feature task
prompt_bytes used provider_request_id
"""
"""The names of section 7 of the product's description, in its order."""
COLUMNS = SECTION_7.split()
NUMBERS = {name for name in COLUMNS if name.endswith(("_tokens", "_ms", "_us", "_picousd", "_bytes"))} | {"status"}


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_cell(name: str, value: Any) -> str:
    """What a JSON value of a row is in CSV, written down a second time, by another hand."""
    if value is None:
        return ""
    if name in ("flags", "used"):
        return " ".join(value)
    if name == "usage_json":
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if name == "streamed":
        return "true" if value else "false"
    text = str(value)
    return "'" + text if name not in NUMBERS and text[0] in "=+-@" else text


def test_csv_has_all_columns_in_order_and_all_rows(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    answer = lectr.get("/api/requests", format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="lectr-requests.csv"'
    assert answer.text.splitlines()[0].split(",") == COLUMNS
    assert [row["id"] for row in read_csv(answer.text)] == [row.id for row in entries]


def test_ndjson_has_one_row_a_line_equal_to_the_rows_of_the_pages(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    answer = lectr.get("/api/requests", format="ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == [row.id for row in entries]
    assert all(list(line) == COLUMNS for line in lines)
    assert lines[:1000] == lectr.json("/api/requests", limit=1000)["requests"]


def test_csv_and_ndjson_say_the_same(lectr: Lectr) -> None:
    lines = [json.loads(line) for line in lectr.get("/api/requests", format="ndjson").text.splitlines()]
    cells = read_csv(lectr.get("/api/requests", format="csv").text)
    assert cells == [{name: as_cell(name, line[name]) for name in COLUMNS} for line in lines]


def test_filters_hold_for_exports_and_the_limit_of_pages_does_not(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    wanted = [row.id for row in entries if row.provider == "openai" and row.status == 200]
    query = {"provider": "openai", "status": "2xx", "limit": 3}
    assert [row["id"] for row in read_csv(lectr.get("/api/requests", format="csv", **query).text)] == wanted
    assert len(lectr.get("/api/requests", format="ndjson", **query).text.splitlines()) == len(wanted)


def test_an_export_of_nothing_is_the_header_alone(lectr: Lectr) -> None:
    assert lectr.get("/api/requests", format="csv", key="nobody").text == ",".join(COLUMNS) + "\r\n"
    assert lectr.get("/api/requests", format="ndjson", key="nobody").text == ""


def test_the_odd_row_is_exact_in_every_form(lectr: Lectr) -> None:
    query = {"model": "=HYPERLINK(1)"}
    [row] = lectr.json("/api/requests", **query)["requests"]
    assert (row["flags"], row["used"]) == (["provider_unknown", "price_by_base"], ["tools", "images"])
    assert row["usage_json"] == {"prompt_tokens": 1, "model": "a,b"}
    assert (row["cost_picousd"], row["cost_usd"], row["cost_reason"]) == (None, None, "unknown_model")
    [cells] = read_csv(lectr.get("/api/requests", format="csv", **query).text)
    assert cells["flags"] == "provider_unknown price_by_base"
    assert cells["used"] == "tools images"
    assert json.loads(cells["usage_json"]) == row["usage_json"]
    assert (cells["request_model"], cells["response_model"], cells["task"]) == ("'=HYPERLINK(1)", "'-1", "'@task")
    assert cells["feature"] == 'say "hi", twice'
    assert (cells["cost_picousd"], cells["cost_usd"], cells["cost_reason"]) == ("", "", "unknown_model")


def test_costs_are_exact_decimal_strings(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    costs = {row.id: row.cost_picousd for row in entries}
    for row in lectr.json("/api/requests", limit=1000)["requests"]:
        assert row["cost_picousd"] == costs[row["id"]]
        if row["cost_usd"] is not None:
            assert re.fullmatch(r"\d+(\.\d*[1-9])?", row["cost_usd"])
            whole, _, fraction = row["cost_usd"].partition(".")
            assert int(whole) * 10**12 + int(fraction.ljust(12, "0")) == row["cost_picousd"]


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_no_label_becomes_a_formula(label: str) -> None:
    row = row_of(entry(feature=label, task=label, request_model=label))
    [line] = list(csv.reader(io.StringIO(csv_text([csv_line(row)]), newline="")))
    cell = line[ROW_NAMES.index("feature")]
    assert cell in (label, "'" + label)
    assert cell[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20"


def test_an_export_is_streamed_page_by_page(monkeypatch: pytest.MonkeyPatch, lectr: Lectr) -> None:
    """The first rows are on their way before the last ones have been read."""
    made = rows()[:4]
    read: list[int] = []

    async def slowly(*_: object) -> AsyncIterator[list[LedgerEntry]]:
        for number, row in enumerate(made):
            read.append(number)
            yield [row]
            while number == 1 and not seen:
                await anyio.sleep(0.01)

    seen: list[str] = []
    monkeypatch.setattr("app.api.requests.stream_requests", slowly)
    with httpx.stream(
        "GET", f"{lectr.url}/api/requests?format=ndjson", headers=dict(lectr.admin.headers), timeout=10
    ) as answer:
        for line in answer.iter_lines():
            if not seen:
                assert read[-1] <= 1
            seen.append(msgspec.json.decode(line, type=dict[str, Any])["id"])
    assert seen == [row.id for row in made]
