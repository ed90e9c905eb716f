"""The list as a file: exactly the rows that the page with the same query is about."""

import csv
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from app.domain import LedgerEntry
from app.ledger import export
from app.ledger.export import ROW_NAMES
from tests.console.html import parse
from tests.console.stage import Stage, Visit
from tests.console.traffic import HOSTILE

Writer = Callable[[AsyncIterator[list[LedgerEntry]]], AsyncIterator[bytes]]
KINDS = ("csv", "ndjson", "json")


def rows(answer: httpx.Response, kind: str) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    if kind == "ndjson":
        return [json.loads(line) for line in answer.text.splitlines()]
    return list(answer.json())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_every_row_with_every_name_of_the_ledger(stage: Stage, admin: Visit, kind: str) -> None:
    answer = admin.get(f"/requests.{kind}?range=all")
    assert answer.headers["content-disposition"] == f'attachment; filename="lectr-requests.{kind}"'
    assert answer.headers["cache-control"] == "no-store"
    found = rows(answer, kind)
    assert [row["id"] for row in found] == [entry.id for entry in reversed(stage.entries)]
    assert all(tuple(row) == ROW_NAMES for row in found)
    assert found[4]["request_model"] == HOSTILE


@pytest.mark.parametrize(
    "query",
    [
        "range=7d",
        "range=all&provider=groq&task=classification",
        "range=all&q=claude",
        "range=all&status=4xx",
        "range=all&priced=false",
        "range=30d&feature=untagged&streamed=true",
        "range=all&sort=cost&dir=asc&live=1&outcome=unreachable",
        "q=zzzz",
    ],
)
def test_a_file_is_of_what_the_page_with_the_same_query_counts(admin: Visit, query: str) -> None:
    shown = parse(admin.get(f"/requests?{query}").text).one("p", class_="tally").all("strong")[0].text
    found = {kind: rows(admin.get(f"/requests.{kind}?{query}"), kind) for kind in KINDS}
    assert {kind: len(some) for kind, some in found.items()} == dict.fromkeys(KINDS, int(shown.replace(",", "")))
    assert found["json"] == found["ndjson"]


def test_the_page_links_to_its_own_files(admin: Visit) -> None:
    page = parse(admin.get("/requests?range=all&provider=groq&sort=cost&live=1").text)
    links = page.one("details", class_="files").all("a")
    assert [link.attributes["href"] for link in links] == [
        f"/requests.{kind}?range=all&provider=groq" for kind in KINDS
    ]


@pytest.mark.parametrize("query", ["range=week", "status=ninety", "since=2026-11-20&until=2026-11-01", "priced=maybe"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_query_that_cannot_be_understood_gives_no_file_of_something_else(admin: Visit, query: str, kind: str) -> None:
    answer = admin.get(f"/requests.{kind}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.anyio
@pytest.mark.parametrize("write", [export.csv_lines, export.json_lines, export.json_array])
async def test_a_file_is_written_while_the_ledger_is_read(stage: Stage, write: Writer) -> None:
    read = 0

    async def some() -> AsyncIterator[list[LedgerEntry]]:
        nonlocal read
        for start in range(0, 40, 4):
            read += 1
            yield stage.entries[start : start + 4]

    seen = [read async for _ in write(some())]
    assert max(after - before for before, after in itertools.pairwise([0, *seen])) == 1


@pytest.mark.anyio
async def test_nothing_is_an_empty_array_and_an_empty_file() -> None:
    async def nothing() -> AsyncIterator[list[LedgerEntry]]:
        return
        yield

    assert b"".join([part async for part in export.json_array(nothing())]) == b"[]\n"
    assert b"".join([part async for part in export.json_lines(nothing())]) == b""
