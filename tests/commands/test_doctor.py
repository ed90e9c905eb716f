"""`lectr doctor`: the cost said first, then one tiny request, and what it showed."""

import re
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
