"""Product.md section 7: exactly one row for each request, there within a second, and nothing in it that must not be."""

import asyncio
import json
import random
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.edge.asking import SHAPES, asking
from tests.edge.provider import CHAT, USAGE, Call, Provider, chat_events
from tests.running import Answer, Lectr

CANARY = "canary-of-the-content"


def test_the_row_of_a_plain_request(lectr: Lectr) -> None:
    body = asking(tools=[{"type": "function", "function": {"name": "f"}}])
    answer = lectr.call(body=body, headers={"x-lectr-feature": "chat", "x-lectr-task": "generation"})
    row = lectr.row(answer.id)
    times = {name: row.pop(name) for name in ("started_at", "finished_at", "ttfb_ms", "duration_ms", "overhead_us")}
    assert times["started_at"] <= times["finished_at"]
    assert 0 <= times["ttfb_ms"] <= times["duration_ms"] < 1000
    assert 0 < times["overhead_us"] <= times["duration_ms"] * 1000 + 1000
    assert row.pop("prompt_bytes") > 0
    assert row == {
        "id": answer.id,
        "key": "plain",
        "provider": "openai",
        "detected_by": "exact",
        "flags": [],
        "request_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2024-07-18",
        "endpoint": "chat.completions",
        "streamed": False,
        "status": 200,
        "outcome": "ok",
        "error_code": None,
        "error_source": None,
        "input_tokens": 9,
        "cache_read_input_tokens": 0,
        "cache_write_5m_input_tokens": 0,
        "cache_write_1h_input_tokens": 0,
        "output_tokens": 5,
        "reasoning_tokens": 0,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "usage_json": CHAT["usage"],
        "usage_source": "provider",
        "service_tier": None,
        "cost_picousd": 4_350_000,
        "cost_usd": "0.00000435",
        "cost_reason": None,
        "price_entry": "genai-prices:openai/gpt-4o-mini@always",
        "feature": "chat",
        "task": "generation",
        "used": ["tools"],
        "provider_request_id": None,
    }


@pytest.mark.parametrize(
    ("model", "reason", "flags"),
    [("gpt-unheard-of", "unknown_model", []), ("unheard-of", "unknown_model", ["provider_unknown"])],
)
def test_a_model_without_a_price_has_none(
    lectr: Lectr, provider: Provider, model: str, reason: str, flags: list[str]
) -> None:
    async def play(call: Call) -> None:
        await call.json({**CHAT, "model": model})

    row = lectr.row(lectr.call(body=asking(model), headers=provider.plays_as(play)).id)
    assert (row["cost_picousd"], row["cost_usd"], row["cost_reason"]) == (None, None, reason)
    assert (row["input_tokens"], row["flags"]) == (9, flags)


@pytest.mark.parametrize("endpoint", ["/v1/messages/count_tokens", "/v1/moderations", "/v1/responses/input_tokens"])
def test_endpoints_that_cost_nothing(lectr: Lectr, provider: Provider, endpoint: str) -> None:
    async def play(call: Call) -> None:
        await call.json({"input_tokens": 99, "usage": {"input_tokens": 99, "output_tokens": 9}})

    answer = lectr.call(
        endpoint, asking("claude-sonnet-4-5" if "messages" in endpoint else None), provider.plays_as(play)
    )
    row = lectr.row(answer.id)
    assert (row["cost_picousd"], row["cost_reason"], row["usage_source"]) == (0, None, "none")
    assert answer.header("x-lectr-cost-usd") is None


def test_nothing_of_content_or_keys_is_written_anywhere(lectr: Lectr, provider: Provider) -> None:
    async def play(call: Call) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": CANARY}, "finish_reason": "stop"}
        usage: dict[str, Any] = {**USAGE, "note": CANARY, CANARY: CANARY}
        await call.json({**CHAT, "choices": [choice], "usage": usage})

    async def refusing(call: Call) -> None:
        await call.json({"error": {"message": CANARY, "code": f"{CANARY} with spaces", "type": CANARY + "!"}}, 400)

    for each in (play, refusing):
        body = asking(user=CANARY) | {"messages": [{"role": "user", "content": CANARY}]}
        headers = provider.plays_as(each) | {"cookie": CANARY, "user-agent": CANARY}
        for key in SHAPES.values():
            answer = lectr.call(
                f"/v1/chat/completions?note={CANARY}", body, headers | {"api-key": key}, provider_key=key
            )
            lectr.row(answer.id)
    for key in (*SHAPES.values(), CANARY, lectr.keys["plain"]):
        assert key not in str(lectr.rows(within_s=2)) or key == SHAPES["none"]
        for path in Path(lectr.settings.data_dir).rglob("*"):
            if path.is_file():
                assert key.encode() not in path.read_bytes(), path


def test_fifty_at_once_do_not_mix(lectr: Lectr, provider: Provider) -> None:
    feature = uuid.uuid4().hex
    failures: list[str] = []

    async def echo(call: Call) -> None:
        request = json.loads(call.seen.body)
        text = request["messages"][0]["content"]
        await asyncio.sleep(random.random() * 0.05)
        if request.get("stream"):
            await call.stream()
            for event in chat_events(*text, usage=True):
                await call.chunk(event)
                await asyncio.sleep(0)
            await call.end()
        elif text.endswith("0"):
            await call.json({"error": {"message": text}}, 429)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            await call.json({**CHAT, "choices": [choice]})

    headers = provider.plays_as(echo)

    def one(number: int) -> None:
        text = f"{uuid.uuid4().hex}-{number}"
        body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        if number % 3 == 0:
            body["stream"] = True
        answer: Answer = lectr.call(body=body, headers=headers | {"x-lectr-feature": feature, "x-lectr-task": text[:8]})
        came = answer.body.decode()
        said = "".join(part.split('"')[0] for part in came.split('"content":"')[1:]) if number % 3 == 0 else came
        if text not in said or not answer.whole or lectr.row(answer.id)["task"] != text[:8]:
            failures.append(f"{number}: {answer.status} {came[:200]}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    rows = lectr.rows(50, feature=feature)
    assert len({row["id"] for row in rows}) == 50
    for row in rows:
        assert row["cost_picousd"] == (4_350_000 if row["status"] == 200 else 0)
