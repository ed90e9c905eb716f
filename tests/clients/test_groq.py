"""Groq's SDK through Lectr sees what it sees without it."""

from collections.abc import Callable, Iterator
from typing import Any

import groq
import pytest
from groq import AsyncGroq, Groq

from app.demo.standin import StandIn
from tests import canaries
from tests.api.serving import Lectr
from tests.clients.conftest import BOX_KEY
from tests.clients.seen import QUESTION, cost, only_row, plain, raised_by, same_both_ways

MODEL = "openai/gpt-oss-20b"
Call = Callable[[Groq], Any]


@pytest.fixture
def directly(direct: str) -> Iterator[Groq]:
    with Groq(base_url=f"{direct}/groq", api_key=canaries.SDK["groq"], max_retries=0) as client:
        yield client


@pytest.fixture
def through(lectr: Lectr, feature: str) -> Iterator[Groq]:
    headers = {"X-Lectr-Key": lectr.key, "X-Lectr-Feature": feature}
    with Groq(base_url=lectr.url, api_key=canaries.SDK["groq"], default_headers=headers, max_retries=0) as client:
        yield client


CALLS: dict[str, Call] = {
    "chat": lambda client: client.chat.completions.create(model=MODEL, messages=QUESTION),
    "stream": lambda client: list(client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)),
    "long": lambda client: client.chat.completions.create(
        model="llama-3.3-70b-versatile", messages=[{"role": "user", "content": "word " * 500}]
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_sees_the_same_at_its_exact_cost(
    lectr: Lectr, directly: Groq, through: Groq, feature: str, name: str
) -> None:
    same_both_ways(CALLS[name], directly, through)
    row = only_row(lectr, feature)
    assert (row["provider"], row["endpoint"], row["outcome"]) == ("groq", "chat.completions", "ok")
    usage = row["usage_json"]
    assert row["cost_picousd"] == cost(
        "groq", row["request_model"], input=usage["prompt_tokens"], output=usage["completion_tokens"]
    )


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_errors_are_raised_as_with_the_provider(directly: Groq, through: Groq, status: int) -> None:
    def call(client: Groq) -> Any:
        return raised_by(
            lambda: client.chat.completions.create(model=f"llama-error-{status}", messages=QUESTION),
            groq.APIStatusError,
        )

    assert same_both_ways(call, directly, through)["status_code"] == status


def test_the_lectr_key_alone_uses_the_boxs_own_key(lectr: Lectr, standin: StandIn) -> None:
    with Groq(base_url=lectr.url, api_key=lectr.key, max_retries=0) as client:
        assert client.chat.completions.create(model=MODEL, messages=QUESTION).choices
    assert standin.seen[-1].headers["authorization"] == f"Bearer {BOX_KEY}"


@pytest.mark.anyio
async def test_async(lectr: Lectr, directly: Groq) -> None:
    async with AsyncGroq(
        base_url=lectr.url, api_key=canaries.SDK["groq"], default_headers={"X-Lectr-Key": lectr.key}, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
        seen = [chunk async for chunk in stream]
    assert plain(seen) == plain(CALLS["stream"](directly))
