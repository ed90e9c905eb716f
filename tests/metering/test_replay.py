"""The recorded exchanges of the five providers cost what two independent price libraries and their corrections say."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.domain import Cost, Reply, Usage
from app.metering.cost import bill_of, cost_of
from app.metering.usage import split_usage, usage_from_json, usage_json
from app.metering.usual_cost import usual_cost
from tests.metering.prices import TODAY
from tests.upstream.formats.exchanges import FORMATS, answered, content_type, streamed
from tests.upstream.formats.streams import fed

SURE = ("agree", "explained", "corrected")

EXCEPTIONS: dict[str, str] = {}
"""Exchange id -> why its cost cannot be the expected one. None."""

CLAMPED = "more cached than prompt tokens (verdict ambiguous): uncached is clamped at 0, so the parts exceed the prompt"
TOKEN_EXCEPTIONS = {"9a2e98aba77cc3be": CLAMPED, "edc1f1603d327ea2": CLAMPED}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Path(__file__).parents[2] / "registry")


def read(exchange: dict[str, Any], *, usage_added: bool = False) -> tuple[Reply, Usage | None]:
    body = exchange["response_body"].encode()
    reply, _ = fed(FORMATS[exchange["endpoint"]], [body], usage_added=usage_added, content_type=content_type(exchange))
    return reply, split_usage(exchange["provider"], endpoint(exchange), reply)


def endpoint(exchange: dict[str, Any]) -> str:
    return "images.generations" if exchange["endpoint"] == "images" else str(exchange["endpoint"])


def priced(catalog: Catalog, exchange: dict[str, Any], reply: Reply, usage: Usage, on: date) -> Cost:
    ask = {
        "provider": exchange["provider"],
        "response_model": reply.response_model,
        "request_model": exchange["model_requested"],
        "service_tier": reply.service_tier,
        "on": on,
    }
    cost, bill = cost_of(catalog, usage, **ask), bill_of(catalog, usage, **ask)
    assert cost == usual_cost(catalog, usage, **ask)
    assert (bill.picousd, bill.price_entry) == (cost.picousd, cost.price_entry)
    if cost.picousd is not None:
        assert sum(line.amount_usd for line in bill.lines) * 10**12 == cost.picousd
    return cost


def recorded_on(exchange: dict[str, Any]) -> date:
    return date.fromisoformat(exchange["recorded_at"][:10]) if exchange["recorded_at"] else TODAY


def expected() -> list[dict[str, Any]]:
    return [each for each in answered() if "verdict" in each["expected"]]


def sure() -> list[dict[str, Any]]:
    return [each for each in expected() if each["expected"]["verdict"] in SURE and each["id"] not in EXCEPTIONS]


def test_every_sure_cost_is_met_exactly_at_its_date_and_today(catalog: Catalog) -> None:
    assert len(sure()) > 100
    wrong = []
    for exchange in sure():
        reply, usage = read(exchange)
        assert usage is not None, exchange["id"]
        for key, on in (("expected_cost_usd", recorded_on(exchange)), ("expected_cost_usd_2026_11_22", TODAY)):
            cost = priced(catalog, exchange, reply, usage, on)
            wanted = Decimal(exchange["expected"][key])
            if cost.picousd != wanted * 10**12:
                wrong.append((exchange["id"], exchange["provider"], reply.response_model, str(on), str(wanted), cost))
    assert wrong == []


def test_model_tier_and_buckets_are_those_expected() -> None:
    for exchange in expected():
        reply, usage = read(exchange)
        wanted = exchange["expected"]
        assert usage is not None, exchange["id"]
        assert (reply.response_model, reply.service_tier) == (wanted["model"], wanted["service_tier"]), exchange["id"]
        if exchange["id"] not in TOKEN_EXCEPTIONS:
            assert buckets(usage) == tokens(wanted["tokens"]), exchange["id"]
            # Of transcriptions the recorded expectations have no audio.
            assert usage.input_audio_tokens == wanted["tokens"].get("audio_in", usage.input_audio_tokens)


def buckets(usage: Usage) -> dict[str, int]:
    return {
        "input_total": usage.total_input_tokens,
        "input_uncached": usage.input_tokens + usage.input_audio_tokens + usage.input_image_tokens,
        "cache_read": usage.cache_read_input_tokens + usage.cache_read_audio_tokens,
        "cache_write": usage.cache_write_5m_input_tokens + usage.cache_write_1h_input_tokens,
        "cache_write_1h": usage.cache_write_1h_input_tokens,
        "output": usage.output_tokens + usage.output_audio_tokens + usage.output_image_tokens,
        "audio_out": usage.output_audio_tokens,
        "reasoning": usage.reasoning_tokens,
        "web_search": usage.web_searches,
    }


def tokens(wanted: dict[str, int]) -> dict[str, int]:
    names = ("input_total", "input_uncached", "cache_read", "cache_write", "cache_write_1h", "audio_out", "web_search")
    output = wanted.get("output_billable", wanted["output_total"])
    return {name: wanted.get(name, 0) for name in names} | {
        "output": output,
        # Gemini's hidden tokens are thinking.
        "reasoning": wanted.get("reasoning", 0) + output - wanted["output_total"],
    }


def test_usage_lectr_asked_for_itself_costs_the_same(catalog: Catalog) -> None:
    seen = 0
    for exchange in streamed():
        if FORMATS[exchange["endpoint"]] not in ("openai-chat", "openai-completions"):
            continue
        assert read(exchange, usage_added=True) == read(exchange)
        wanted = exchange["expected"]
        if wanted.get("verdict") in SURE:
            reply, usage = read(exchange, usage_added=True)
            assert usage is not None
            cost = priced(catalog, exchange, reply, usage, recorded_on(exchange))
            assert cost.picousd == Decimal(wanted["expected_cost_usd"]) * 10**12, exchange["id"]
            seen += 1
    assert seen >= 10


def test_what_has_no_usage_is_not_guessed() -> None:
    for exchange in answered():
        if "verdict" not in exchange["expected"]:
            assert read(exchange)[1] is None, exchange["id"]


def test_a_row_can_be_priced_again_from_the_ledger() -> None:
    for exchange in expected():
        reply, usage = read(exchange)
        text = usage_json(reply)
        assert usage_from_json(exchange["provider"], endpoint(exchange), text) == usage, exchange["id"]
