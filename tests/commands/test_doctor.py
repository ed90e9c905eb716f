"""`lectr doctor`: the cost said first, then one tiny request, and what it showed."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any, cast

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn
from tests.commands.cli import BOX_KEYS, Box

PROVIDERS = ["openai", "anthropic", "groq", "gemini", "azure"]
PLAN = re.compile(r"(\w+): one request to (\S+), at most \$(\d+\.\d+)")


def test_every_provider_with_a_key_is_well(box: Box) -> None:
    done = box.start("doctor", **BOX_KEYS)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    plans = PLAN.findall(said)
    assert [provider for provider, _, _ in plans] == PROVIDERS
    for provider, _, most in plans:
        part = said[said.index(f"{provider}: one request") :]
        steps = [line.split() for line in part.splitlines()[1:5]]
        assert [line[:2] for line in steps[:2]] == [["key", "ok"], ["answer", "ok"]]
        assert "streaming usage  ok" in part
        cost = re.search(r"price +ok +\$(\d+\.\d+)", part)
        assert cost, part
        assert 0 < float(cost[1]) <= float(most)


def test_one_provider_alone(box: Box) -> None:
    assert [plan[0] for plan in PLAN.findall(box.ok("doctor", "groq", **BOX_KEYS))] == ["groq"]


def test_the_request_has_its_row(box: Box) -> None:
    box.ok("doctor", "anthropic", **BOX_KEYS)
    with box.serve() as server:
        [row] = server.rows(1)
    assert (row["key"], row["provider"], row["feature"]) == ("lectr doctor", "anthropic", "doctor")
    assert (row["outcome"], row["streamed"], row["usage_source"]) == ("ok", True, "provider")
    assert row["cost_picousd"] > 0


def steps_of(said: str) -> dict[str, tuple[str, str]]:
    """Mark and words of the box's own steps, by name."""
    head, *lines = said.splitlines()
    assert head.startswith("This box, ")
    found = [re.fullmatch(r"  (.{16}) (.{8}) (.*)", line) for line in lines]
    return {one[1].strip(): (one[2].strip(), one[3]) for one in found if one}


def test_the_box_is_looked_at_first(box: Box) -> None:
    key = box.key("backend")
    with box.serve() as server:
        server.row(server.ask(key))
        found = steps_of(box.run("doctor").stdout)
        assert found["database"][0] == "ok"
        assert re.fullmatch(
            rf"SQLite {box.data}/lectr\.db, schema m\d{{4}}, .* [KM]iB, 1 request", found["database"][1]
        )
        assert found["last backup"] == ("-", "none that this box knows of: `lectr backup` makes one")
        assert found["spool"][0] == "ok"
        assert found["spool"][1].startswith(f"{box.data}/spool can be written, ")
        assert found["spool"][1].endswith(", 0 requests without a row yet")
    box.ok("backup")
    with sqlite3.connect(box.data / "lectr.db") as connection:
        connection.execute("DELETE FROM requests")
        connection.execute("INSERT INTO ledger_parked (parked_at_us, reason, entry) VALUES (1, 'too odd', '{}')")
    connection.close()
    # As if its process had died before the row was written.
    [segment] = (box.data / "spool").glob("*.done")
    segment.rename(segment.with_suffix(".parked"))
    done = box.run("doctor")
    found = steps_of(done.stdout)
    assert done.returncode == 1
    assert found["last backup"][0] == "ok"
    assert found["last backup"][1].endswith("UTC, within a day")
    assert found["spool"][1].endswith(", 1 request without a row yet")
    assert found["parked rows"] == ("FAILED", "1 could not be written as rows: see the log")


def test_a_database_that_cannot_be_used_is_said_before_any_provider_is_asked(box: Box) -> None:
    done = box.run("doctor", DATABASE_URL="postgres://lectr:secret-word@127.0.0.1:9/ledger", **BOX_KEYS)
    found = steps_of(done.stdout)
    assert done.returncode == 1
    assert found["database"][0] == "FAILED"
    assert "lectr@127.0.0.1:9/ledger cannot be reached" in found["database"][1]
    assert found["spool"][0] == "ok"
    assert not PLAN.search(done.stdout)
    assert "no provider was asked" in done.stderr
    assert "secret-word" not in done.stdout + done.stderr


def test_a_spool_that_cannot_be_written_is_said(box: Box) -> None:
    box.data.mkdir()
    (box.data / "spool").write_text("no folder")
    found = steps_of(box.run("doctor").stdout)
    assert found["spool"][0] == "FAILED"
    assert f"{box.data}/spool cannot be used: " in found["spool"][1]


def test_no_key_is_said_with_the_settings_that_would_help(box: Box) -> None:
    assert all(name in box.refused("doctor") for name in BOX_KEYS)
    done = box.run("doctor", "openai")
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stdout
    assert "there are openai" in box.refused("doctor", "nobody")


@pytest.fixture
def refusing() -> Iterator[str]:
    """A provider that takes no key."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        body = b'{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    with serving(cast(StandIn, refuse)) as address:
        yield address


def test_a_key_that_is_refused_is_said_and_costs_nothing(box: Box, refusing: str) -> None:
    done = box.run("doctor", "openai", LECTR_OPENAI_BASE_URL=refusing, OPENAI_API_KEY="sk-wrong-secret")
    assert done.returncode == 1
    plan, found = done.stdout.splitlines()
    assert PLAN.match(plan)
    assert "FAILED" in found
    assert "refused the key in OPENAI_API_KEY (401)" in found
    assert "sk-wrong-secret" not in done.stdout + done.stderr


def test_a_provider_that_is_not_there_is_said(box: Box) -> None:
    done = box.run("doctor", "openai", LECTR_OPENAI_BASE_URL="http://127.0.0.1:9", OPENAI_API_KEY="sk-any")
    assert done.returncode == 1
    assert "connection       FAILED" in done.stdout
    assert "Traceback" not in done.stderr
