"""`/api/overrides`: a good one is in force everywhere within a second, a bad one changes nothing."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.api.serving import Lectr, serving_app, wait_until

ALIAS = {"kind": "alias", "provider": "openai", "model": "gpt-4o-mini", "alias": "house-model"}
PRICE = {
    "kind": "price",
    "provider": "openai",
    "model": "house-own",
    "rates": {"input_mtok": "3.25", "output_mtok": "13"},
}
QUESTION = [{"role": "user", "content": "Where is my order?"}]


@pytest.fixture
def clean(changing: Lectr) -> Iterator[Lectr]:
    """Without overrides before and after."""
    yield changing
    for made in changing.json("/api/overrides")["overrides"]:
        assert changing.admin.delete(f"/api/overrides/{made['id']}").status_code == 204


def add(lectr: Lectr, body: Any) -> dict[str, Any]:
    answer = lectr.admin.post("/api/overrides", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ask(lectr: Lectr, model: str) -> dict[str, Any]:
    """Send one request and give its row."""
    with lectr.program() as program:
        answer = program.post("/v1/chat/completions", json={"model": model, "messages": QUESTION})
    assert answer.status_code == 200, answer.text
    return lectr.row(answer)


def test_an_alias_is_kept_and_listed(clean: Lectr) -> None:
    made = add(clean, ALIAS)
    assert {name: made[name] for name in ALIAS} == ALIAS
    assert clean.json("/api/overrides") == {"overrides": [made]}


@pytest.mark.parametrize("body", [ALIAS, PRICE], ids=["alias", "price"])
def test_the_same_twice_is_a_conflict_and_changes_nothing(clean: Lectr, body: dict[str, Any]) -> None:
    made = add(clean, body)
    answer = clean.admin.post("/api/overrides", json={**body, "note": "again"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    told = f"The new override says the same as override {made['id']}. Delete that one first."
    assert answer.json()["error"]["message"] == told
    assert clean.json("/api/overrides") == {"overrides": [made]}


def test_an_alias_decides_detection_and_the_cost_of_the_next_request(clean: Lectr) -> None:
    before = clean.json("/api/detect", model="house-model")
    assert (before["provider"], before["price"]) == (None, None)
    add(clean, ALIAS)
    after = clean.json("/api/detect", model="house-model")
    assert (after["provider"], after["detected_by"]) == ("openai", "exact")
    assert after["price"] == clean.json("/api/detect", model="gpt-4o-mini")["price"]
    assert clean.json("/api/models/house-model")["id"] == "gpt-4o-mini"


def test_a_price_decides_the_cost_of_the_next_request(clean: Lectr) -> None:
    unpriced = ask(clean, "house-own")
    assert (unpriced["cost_picousd"], unpriced["cost_reason"]) == (None, "unknown_model")
    made = add(clean, PRICE)
    assert clean.json("/api/detect", model="house-own")["price"]["input_usd_per_mtok"] == "3.25"
    row = ask(clean, "house-own")
    assert row["cost_picousd"] == row["input_tokens"] * 3_250_000 + row["output_tokens"] * 13_000_000
    assert row["price_entry"] == f"team:{made['id']}:openai/house-own@always"
    # What was written down before keeps what it was given then.
    assert clean.json(f"/api/requests/{unpriced['id']}") == unpriced
    assert clean.admin.delete(f"/api/overrides/{made['id']}").status_code == 204
    assert ask(clean, "house-own")["cost_picousd"] is None
    assert clean.json(f"/api/requests/{row['id']}") == row


def test_a_price_that_starts_tomorrow_is_not_todays(clean: Lectr) -> None:
    today = clean.json("/api/detect", model="gpt-4o")["price"]
    add(clean, {**PRICE, "model": "gpt-4o", "starts": "2099-01-01"})
    assert clean.json("/api/detect", model="gpt-4o")["price"] == today
    add(clean, {**PRICE, "model": "gpt-4o", "starts": "2026-01-01"})
    assert clean.json("/api/detect", model="gpt-4o")["price"]["input_usd_per_mtok"] == "3.25"


def test_rates_may_be_numbers_and_stay_exact(clean: Lectr) -> None:
    body = b'{"kind":"price","provider":"openai","model":"gpt-4o","rates":{"input_mtok":0.1,"output_mtok":1.000000007}}'
    answer = clean.admin.post("/api/overrides", content=body)
    assert answer.status_code == 201
    assert answer.json()["rates"] == {"input_mtok": "0.1", "output_mtok": "1.000000007"}
    price = clean.json("/api/detect", model="gpt-4o")["price"]
    assert (Decimal(price["input_usd_per_mtok"]), price["output_usd_per_mtok"]) == (Decimal("0.1"), "1.000000007")


def test_another_process_has_it_within_a_second(clean: Lectr) -> None:
    with serving_app(clean.settings) as other:
        made = add(clean, ALIAS)
        began = time.monotonic()
        wait_until(lambda: detects(clean, other) == "openai")
        assert time.monotonic() - began < 1.0
        clean.admin.delete(f"/api/overrides/{made['id']}")
        began = time.monotonic()
        wait_until(lambda: detects(clean, other) is None)
        assert time.monotonic() - began < 1.0


def detects(lectr: Lectr, url: str) -> str | None:
    answer = httpx.get(f"{url}/api/detect?model=house-model", headers=dict(lectr.admin.headers))
    return answer.json()["provider"]  # type: ignore[no-any-return]


BAD: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "nested without end": b"[" * 5000,
    "no model": {"kind": "alias", "provider": "openai", "alias": "x"},
    "another kind": {**ALIAS, "kind": "discount"},
    "no such provider": {**ALIAS, "provider": "nobody"},
    "no such model": {**ALIAS, "model": "not-listed"},
    "no alias": {**ALIAS, "alias": None},
    "alias with a space": {**ALIAS, "alias": "a b"},
    "alias of itself": {**ALIAS, "alias": "GPT-4o-mini"},
    "alias with rates": {**ALIAS, "rates": {"input_mtok": 1}},
    "price with an alias": {**PRICE, "alias": "x"},
    "unknown field": {**PRICE, "rate": 3},
    "no rates": {**PRICE, "rates": {}},
    "negative": {**PRICE, "rates": {"input_mtok": -1}},
    "no number": {**PRICE, "rates": {"input_mtok": "NaN"}},
    "endless": {**PRICE, "rates": {"input_mtok": "Infinity"}},
    "too much": {**PRICE, "rates": {"input_mtok": "1e12"}},
    "too fine": {**PRICE, "rates": {"input_mtok": "0.0000000001"}},
    "no unit": {**PRICE, "rates": {"per_word": 1}},
    "no day": {**PRICE, "starts": "soon"},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_one_is_refused_and_nothing_changes(clean: Lectr, body: Any) -> None:
    add(clean, PRICE)
    kept = clean.json("/api/overrides")
    before = clean.json("/api/detect", model="gpt-4o-mini"), clean.json("/api/detect", model="house-own")
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = clean.admin.post("/api/overrides", **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), answer.text
    assert len(answer.json()["error"]["message"]) > 10
    assert clean.json("/api/overrides") == kept
    assert (clean.json("/api/detect", model="gpt-4o-mini"), clean.json("/api/detect", model="house-own")) == before


@pytest.mark.parametrize("id", ["99", "x", "-1", "0", "\u0661", "9" * 40])
def test_what_is_not_there_cannot_be_deleted(clean: Lectr, id: str) -> None:
    answer = clean.admin.delete(f"/api/overrides/{id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
