"""What a request becomes in the ledger."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog
from app.domain import CostReason, Detection, Outcome, UsageSource
from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError
from app.record import Record, bare_entry, blame, build_entry
from tests.edge.provider import USAGE
from tests.fakes import FakeCaller, inbound


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(Path(__file__).parents[1] / "registry")


def record_of(**values: Any) -> Record:
    request = {name: values.pop(name) for name in list(values) if name in ("endpoint", "model", "body")}
    record = Record(inbound(**request), FakeCaller([]), time.perf_counter_ns())
    record.detection = Detection("openai", "exact")
    record.wire_format, record.sent, record.status = "openai-chat", True, 200
    for name, value in values.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("values", "billable"),
    [
        ({}, True),
        ({"status": None}, True),
        ({"status": 299}, True),
        ({"sent": False}, False),
        ({"status": 199}, False),
        ({"status": 302}, False),
        ({"status": 400}, False),
        ({"status": 504}, False),
        ({"endpoint": "moderations"}, False),
        ({"endpoint": "messages.count_tokens"}, False),
        ({"endpoint": "other"}, False),
        ({"endpoint": "embeddings"}, True),
    ],
)
def test_what_is_billable(catalog: Catalog, values: dict[str, Any], billable: bool) -> None:
    record = record_of(**values)
    record.reply.usage, record.reply.usage_complete = dict(USAGE), True
    entry = build_entry(record, catalog, whole=True)
    assert (record.billable, entry.billable) == (billable, billable)
    if not billable:
        assert (entry.cost_picousd, entry.usage_source, entry.input_tokens) == (0, UsageSource.NONE, None)


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (ProviderUnreachable, Outcome.UNREACHABLE, "provider_unreachable"),
        (ProviderTimeout, Outcome.UPSTREAM_TIMEOUT, "provider_timeout"),
        (ProviderReset, Outcome.UPSTREAM_RESET, "provider_bad_response"),
        (ProviderBadResponse, Outcome.BAD_RESPONSE, "provider_bad_response"),
    ],
)
def test_who_is_to_blame(error: type[UpstreamError], outcome: Outcome, code: str) -> None:
    record = record_of()
    blame(record, error("x", sent=True))
    assert (record.outcome, record.error_code, record.error_source) == (outcome, code, "provider")
    assert record.sent
    blame(record, error("x", sent=False))
    assert not record.sent


def test_a_status_nobody_saw_is_none(catalog: Catalog) -> None:
    record = record_of(outcome=Outcome.CLIENT_CLOSED)
    assert build_entry(record, catalog, whole=False).status is None
    record.caller.started = True
    assert build_entry(record, catalog, whole=False).status == 200


def test_the_bare_row_says_what_the_whole_one_says_but_for_usage_and_cost(catalog: Catalog) -> None:
    record = record_of()
    whole = msgspec.structs.asdict(build_entry(record, catalog, whole=True))
    bare = msgspec.structs.asdict(bare_entry(record))
    differing = {name for name in whole if whole[name] != bare[name]}
    assert differing <= {"finished_at_us", "overhead_us", "cost_reason", "prompt_bytes", "used"}
    assert (bare["cost_picousd"], bare["cost_reason"]) == (None, CostReason.READER_FAILED)
    assert bare_entry(record_of(status=429)).cost_picousd == 0


def test_an_encoded_answer_has_its_reason(catalog: Catalog) -> None:
    entry = build_entry(record_of(encoded=True), catalog, whole=True)
    assert (entry.cost_picousd, entry.cost_reason) == (None, CostReason.ENCODED_BODY)


def test_an_error_within_a_200_is_the_providers(catalog: Catalog) -> None:
    record = record_of()
    record.reply.provider_error = "overloaded"
    entry = build_entry(record, catalog, whole=True)
    assert (entry.outcome, entry.error_code, entry.error_source) == (Outcome.PROVIDER_ERROR, "overloaded", "provider")
    assert entry.usage_source == UsageSource.ESTIMATED
