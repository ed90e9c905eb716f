"""Threats 1 and 44: SQL in any field is a text like any other, and no search holds the database."""

import itertools
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider
from tests.running import Lectr, data_settings, running

MARK = "zq9"
QUOTES = ("'", '"', "`", "\\'", "''", "%27", "\u02bc", "')", "'))", "]", ";")
TAILS = (
    " OR 1=1 --", " OR 'a'='a", "; DROP TABLE requests; --", " UNION SELECT * FROM keys --",
    "; ATTACH DATABASE '/tmp/x' AS x; --", " AND (SELECT randomblob(900000000)) --", " OR load_extension('x') --",
    "; PRAGMA writable_schema=1; --", "||(SELECT secret_hash FROM keys)||",
    " AND 1=(SELECT 1 FROM sqlite_master) --", "/**/OR/**/1=1#", " WAITFOR DELAY '0:0:5' --",
    "; SELECT pg_sleep(5); --", " LIKE '%", " GLOB '*",
)  # fmt: skip
PAYLOADS = [f"{MARK}{quote}{tail}" for quote, tail in itertools.product(QUOTES, TAILS)]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The text of every statement any engine runs meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def schema(database: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found = list(connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name"))
    connection.close()
    return found


def test_t01_no_field_is_read_as_sql(provider: Provider, tmp_path: Path, statements: list[str]) -> None:
    with running(data_settings(tmp_path, **upstream_settings(provider.address))) as lectr:
        database = tmp_path / "data" / "lectr.db"
        before, rows = schema(database), 0
        for number, payload in enumerate(PAYLOADS):
            line = payload.encode("ascii", "ignore").decode()
            assert lectr.call(body=asking(), headers={"x-lectr-key": line}).status == 401
            if number % 3:
                continue
            fields = {"x-lectr-feature": line, "x-lectr-task": line, "x-lectr-provider": line, "user-agent": line}
            assert lectr.call(body=asking(payload), headers=fields, provider_key=line).status == 200
            assert lectr.call(f"/v1/files/{number}?after=%27{MARK}%20OR%201=1").status == 200
            rows += 2
            for name in ("provider", "outcome"):
                with pytest.raises(httpx.HTTPStatusError, match="400 Bad Request"):
                    lectr.admin("/api/requests", **{name: payload})
            for name in ("key", "model", "feature", "task"):
                found = lectr.admin("/api/requests", limit=1000, **{name: payload})["requests"]
                assert len(found) <= (1 if name in ("model", "feature", "task") else 0), (name, payload)
        assert len(lectr.rows(rows, within_s=10)) == rows
        assert schema(database) == before
        assert [statement for statement in statements if MARK in statement] == []
        assert len(statements) > 100


def test_t44_wildcards_are_letters_and_hold_nobody_up(lectr: Lectr) -> None:
    for number in range(20):
        lectr.call(body=asking(f"model-{number}"), headers={"x-lectr-feature": f"feature-{number}"})
    began = time.monotonic()
    for text in ("%" * 64, "_" * 64, "%" * 200, "[a-z]*", "*" * 64, "(a+)+$" * 10, "%_" * 90, "\\%", "\\"):
        for name in ("model", "feature", "task", "key"):
            assert lectr.admin("/api/requests", **{name: text})["requests"] == []
    assert time.monotonic() - began < 10.0
