"""Made-up answers, one for each provider, format and way of streaming: from bytes to buckets to cost.

Each file of tests/golden/answers holds the rates, the answer's lines, the buckets it must be split into and the bill
as a person would write it: quantity, rate, per how many.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from app.domain import ExtraPass, Usage
from app.metering.usage import split_usage, usage_from_json, usage_json
from tests.metering.prices import PriceList, cost, price
from tests.upstream.formats.streams import fed

FILES = sorted((Path(__file__).parents[1] / "golden" / "answers").glob("*.json"))
PROVIDERS = ("openai", "anthropic", "groq", "gemini", "azure")


def load(path: Path) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return golden


def body(lines: list[str]) -> bytes:
    return "\n".join(lines).encode()


def test_every_provider_has_its_chat_answer_whole_and_streamed() -> None:
    names = {path.stem for path in FILES}
    assert names >= {f"{provider}-chat{mode}" for provider in PROVIDERS for mode in ("", "-stream")}
    assert len(names) >= 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bytes_become_buckets_become_the_bill(path: Path) -> None:
    golden = load(path)
    reply, _ = fed(golden["format"], [body(golden["answer"])])
    characters = golden.get("input_characters", 0)
    usage = split_usage(golden["provider"], golden["endpoint"], reply, input_characters=characters)
    assert usage is not None
    assert (reply.response_model, reply.service_tier) == (golden["model"], golden.get("service_tier"))
    assert reply.ended or not golden["answer"]

    wanted = golden["buckets"]
    flags = tuple(wanted.pop("flags", ()))
    found = {
        name: getattr(usage, name)
        for name in Usage.__struct_fields__
        if name.endswith(BUCKETS) and name != "largest_pass_tokens"
    }
    assert {name: count for name, count in found.items() if count} == wanted
    assert usage.flags == flags
    assert all(isinstance(extra, ExtraPass) for extra in usage.extra_passes)

    name = golden["model"] or golden["request_model"]
    prices = PriceList({name: (price("golden", golden["rates"]),)})
    paid = cost(
        prices,
        usage,
        golden["model"],
        asked=golden.get("request_model"),
        provider=golden["provider"],
        tier=golden.get("service_tier"),
    )
    by_hand = sum((quantity * Fraction(rate) / per for quantity, rate, per in golden["bill"]), Fraction(0))
    assert paid.picousd == round(by_hand * 10**12)

    text = usage_json(reply, input_characters=characters)
    assert usage_from_json(golden["provider"], golden["endpoint"], text) == usage


BUCKETS = ("_tokens", "_searches", "_characters", "_milliseconds")


@pytest.mark.parametrize("path", [each for each in FILES if "asked_by_lectr" in load(each)], ids=lambda path: path.stem)
def test_the_client_gets_the_stream_it_asked_for(path: Path) -> None:
    golden = load(path)
    asked, wanted = body(golden["answer"]), body(golden["asked_by_lectr"])
    for size in (1, 5, 64, len(asked)):
        chunks = [asked[at : at + size] for at in range(0, len(asked), size)]
        reply, client = fed(golden["format"], chunks, usage_added=True)
        assert client == wanted
        assert reply == fed(golden["format"], [asked])[0]
