"""210 recorded exchanges through a real Lectr and a provider that answers with the recorded bytes."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.edge.provider import Seen
from tests.replay.conftest import Replay
from tests.replay.exchanges import FRAMING, KEYS, SURE, Sent, as_sent, exchanges, is_foundry
from tests.running import Answer
from tests.upstream.formats.test_recorded_streams import without_usage

OWN = "Lectr answers GET /v1/models itself, from the registry; it reaches no provider and has no row"
CLAMPED = "more cached than prompt tokens (verdict ambiguous): uncached is clamped at 0, so the parts exceed the prompt"
TOKEN_EXCEPTIONS = {"9a2e98aba77cc3be": CLAMPED, "edc1f1603d327ea2": CLAMPED}
COST_EXCEPTIONS: dict[str, str] = {}
"""Exchange id -> why its cost cannot be the expected one. None."""
UNASKED = {
    "43373821d203930e": "its answer has a usage chunk that its client did not ask for: Lectr asked, and takes it out"
}
USAGE_MEMBER = b'"stream_options":{"include_usage":true},'
ERROR = r'^(event: error|data: \{"error":|\{ *"error":)'
"""An error in the answer, whatever its status says: as an event of a stream, or as the whole body."""
IDS = [each["id"] for each in exchanges()]


def lectrs_own(exchange: dict[str, Any]) -> bool:
    return exchange["method"] == "GET" and "/v1/models" in exchange["url"]


def outcome(exchange: dict[str, Any]) -> str:
    failed = exchange["status"] >= 400 or re.search(ERROR, exchange["response_body"], re.MULTILINE)
    return "provider_error" if failed else "ok"


@pytest.mark.parametrize("exchange", exchanges(), ids=IDS)
def test_an_exchange_passes_unchanged_and_is_written_down(replay: Replay, exchange: dict[str, Any]) -> None:
    sent = as_sent(exchange)
    answer, seen = replay.send(sent)
    if lectrs_own(exchange):
        assert seen is None, OWN
        return
    assert seen is not None, (answer.status, answer.body)
    assert (answer.status, answer.whole) == (exchange["status"], True)
    recorded = exchange["response_body"].encode()
    assert answer.body == (without_usage(recorded) if exchange["id"] in UNASKED else recorded)
    check_answer_headers(sent, answer)
    check_upstream(sent, seen)
    check_row(sent, replay.row(sent, answer))


def is_event_stream(answer: Answer) -> bool:
    return (answer.header("content-type") or "").startswith("text/event-stream")


def check_answer_headers(sent: Sent, answer: Answer) -> None:
    recorded = [field for field in sent.exchange["response_headers"].items() if field[0] not in FRAMING]
    got = [field for field in answer.headers if field[0] not in FRAMING and not field[0].startswith("x-lectr-")]
    if is_event_stream(answer):
        assert got.pop() == ("x-accel-buffering", "no")
        recorded = [field for field in recorded if field[0] != "x-accel-buffering"]
    assert got == recorded
    assert answer.header("x-lectr-provider") == sent.exchange["provider"]


def check_upstream(sent: Sent, seen: Seen) -> None:
    assert (seen.method, seen.target) == (sent.method, sent.upstream_target)
    added = adds_usage(sent)
    assert seen.body == ((b"{" + USAGE_MEMBER + sent.body[1:]) if added and sent.body else sent.body or b"")
    provider, key = sent.exchange["provider"], KEYS[sent.exchange["provider"]]
    scheme = {"anthropic": "x-api-key", "azure": "api-key"}.get(provider, "authorization")
    if provider == "anthropic" and sent.endpoint == "chat.completions":
        scheme = "authorization"
    dropped = ("accept-encoding", "cookie", "x-forwarded-for", "authorization", "x-api-key", "api-key")
    expected = {
        name: value for name, value in sent.headers.items() if name not in dropped and not name.startswith("x-lectr-")
    }
    if provider == "anthropic":
        expected.setdefault("anthropic-version", "2023-06-01")
    expected |= {
        "accept-encoding": "identity",
        "content-length": str(len(seen.body)),
        "host": seen.header("host") or "",
        scheme: f"Bearer {key}" if scheme == "authorization" else key,
    }
    assert sorted(seen.headers) == sorted(expected.items())


def adds_usage(sent: Sent) -> bool:
    if sent.endpoint not in ("chat.completions", "completions"):
        return False
    request = json.loads(sent.body or b"{}")
    asked = (request.get("stream_options") or {}).get("include_usage")
    version = sent.upstream_target.partition("api-version=")[2]
    old = bool(version) and version < "2024-09-01"
    return (
        bool(request.get("stream"))
        and not asked
        and sent.exchange["provider"] in ("openai", "gemini", "azure")
        and not old
    )


def check_row(sent: Sent, row: dict[str, Any]) -> None:
    exchange, expected = sent.exchange, sent.exchange["expected"]
    assert row["provider"] == exchange["provider"], row["detected_by"]
    assert row["endpoint"] == sent.endpoint
    assert row["status"] == exchange["status"]
    assert row["outcome"] == outcome(exchange)
    assert row["started_at"][:10] == (exchange["recorded_at"] or "2026-11-22")[:10]
    if sent.endpoint != "other" and (exchange["request_body"] or "").startswith("{"):
        assert row["request_model"] == exchange["model_requested"]
        assert row["streamed"] == bool(exchange["stream"])
    if expected.get("verdict"):
        assert (row["response_model"], row["service_tier"]) == (expected["model"], expected["service_tier"])
        assert row["usage_source"] == "provider"
        if exchange["id"] not in TOKEN_EXCEPTIONS:
            check_tokens(row, expected["tokens"])
    check_cost(exchange, row)


def check_cost(exchange: dict[str, Any], row: dict[str, Any]) -> None:
    expected = exchange["expected"]
    if expected.get("verdict") in SURE and exchange["id"] not in COST_EXCEPTIONS:
        assert Decimal(row["cost_usd"]) == Decimal(expected["expected_cost_usd"])
        assert row["cost_picousd"] == Decimal(expected["expected_cost_usd"]) * 10**12
    elif exchange["status"] >= 300 or row["endpoint"] in ("other", "moderations", "messages.count_tokens"):
        assert (row["cost_picousd"], row["cost_reason"], row["price_entry"]) == (0, None, None)
    elif "verdict" not in expected:
        known = outcome(exchange) == "ok"
        assert row["usage_source"] == ("none" if known else "estimated")
        assert row["cost_reason"] in (("no_usage",) if known else (None, "unknown_model"))
    assert (row["cost_picousd"] is None) == (row["cost_reason"] is not None)


def check_tokens(row: dict[str, Any], wanted: dict[str, int]) -> None:
    output = wanted.get("output_billable", wanted["output_total"])
    writes = row["cache_write_5m_input_tokens"] + row["cache_write_1h_input_tokens"]
    assert row["input_tokens"] + row["input_audio_tokens"] == wanted["input_uncached"]
    assert row["cache_read_input_tokens"] == wanted.get("cache_read", 0)
    assert (writes, row["cache_write_1h_input_tokens"]) == (
        wanted.get("cache_write", 0),
        wanted.get("cache_write_1h", 0),
    )
    assert row["output_tokens"] + row["output_audio_tokens"] == output
    assert row["output_audio_tokens"] == wanted.get("audio_out", 0)
    assert row["reasoning_tokens"] == wanted.get("reasoning", 0) + output - wanted["output_total"]


def test_nothing_is_left_out() -> None:
    assert len(exchanges()) == 210
    assert not [each for each in exchanges() if "mislabelled_host" in each["flags"]]
    assert len([each for each in exchanges() if lectrs_own(each)]) == 4
    assert len([each for each in exchanges() if each["expected"].get("verdict") in SURE]) == 137
    assert COST_EXCEPTIONS == {}


def asked_streams() -> list[dict[str, Any]]:
    """Streams of chat and legacy completions whose client asked for the usage of a provider that Lectr asks too."""
    found = []
    for exchange in exchanges():
        request = (
            json.loads(as_sent(exchange).body or b"{}")
            if exchange["endpoint"] in ("chat.completions", "completions")
            else {}
        )
        if (request.get("stream_options") or {}).get("include_usage") and adds_usage(unasked(exchange)):
            found.append(exchange)
    return found


def unasked(exchange: dict[str, Any]) -> Sent:
    sent = as_sent(exchange)
    request = json.loads(sent.body or b"{}")
    del request["stream_options"]
    sent.body = json.dumps(request).encode()
    return sent


@pytest.mark.parametrize("exchange", asked_streams(), ids=[each["id"] for each in asked_streams()])
def test_a_stream_whose_client_had_not_asked_for_usage(replay: Replay, exchange: dict[str, Any]) -> None:
    sent = unasked(exchange)
    answer, seen = replay.send(sent)
    assert seen is not None
    recorded = exchange["response_body"].encode()
    assert answer.body == without_usage(recorded)
    assert answer.whole
    check_answer_headers(sent, answer)
    check_upstream(sent, seen)
    row = replay.row(sent, answer)
    check_row(sent, row)


def test_there_are_streams_whose_usage_lectr_must_ask_for() -> None:
    changed = [
        each
        for each in asked_streams()
        if without_usage(each["response_body"].encode()) != each["response_body"].encode()
    ]
    assert len(changed) == 9


def azure_deployments() -> list[dict[str, Any]]:
    return [
        each
        for each in exchanges()
        if "/deployments/" in each["url"] and each["endpoint"] != "models" and not is_foundry(each)
    ]


@pytest.mark.parametrize("exchange", azure_deployments(), ids=[each["id"] for each in azure_deployments()])
def test_azure_by_model_and_api_version_reaches_the_same_deployment(replay: Replay, exchange: dict[str, Any]) -> None:
    """The other form: the SDK's plain client, the deployment's name as model, the version in the query."""
    sent = as_sent(exchange, plain_azure=True)
    deployment = exchange["url"].split("/deployments/")[1].partition("/")[0]
    sent.body = json.dumps({**json.loads(sent.body or b"{}"), "model": deployment}).encode()
    answer, seen = replay.send(sent)
    assert seen is not None
    assert answer.body == exchange["response_body"].encode()
    check_upstream(sent, seen)
    assert replay.row(sent, answer)["request_model"] == deployment
