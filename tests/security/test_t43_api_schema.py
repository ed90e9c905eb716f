"""Threats 26, 43 and 47 on /api: right and wrong requests made from its own OpenAPI document, and what answers keep."""

import warnings

import httpx
import pytest

from tests.edge.asking import asking
from tests.running import ADMIN_TOKEN, Lectr
from tests.security.api_schema import attack

EXAMPLES = 6


@pytest.mark.filterwarnings("ignore")
def test_t43_no_request_of_the_schema_gets_another_answer_than_it_promises(lectr: Lectr) -> None:
    for _ in range(3):
        lectr.call(body=asking())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sent, problems = attack(f"http://127.0.0.1:{lectr.port}", ADMIN_TOKEN, EXAMPLES)
    assert problems == []
    operations, statuses = {name.rpartition(" ")[0] for name in sent}, {name.rpartition(" ")[2] for name in sent}
    assert len(operations) >= 12
    assert statuses >= {"200", "400", "401", "404"}
    assert not [status for status in statuses if status.startswith("5")]


@pytest.mark.filterwarnings("ignore")
def test_an_answer_that_breaks_its_promise_would_be_seen(lectr: Lectr, monkeypatch: pytest.MonkeyPatch) -> None:
    real = httpx.get(
        f"http://127.0.0.1:{lectr.port}/api/openapi.json", headers={"authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    document = real.json()
    document["paths"] = {"/api/models": document["paths"]["/api/models"]}
    ok = document["paths"]["/api/models"]["get"]["responses"]["200"]
    ok["content"]["application/json"]["schema"] = {"type": "array"}

    def other(_url: str, **_: object) -> object:
        import schemathesis

        return schemathesis.openapi.from_dict(document)

    monkeypatch.setattr("tests.security.api_schema.schemathesis.openapi.from_url", other)
    _, problems = attack(f"http://127.0.0.1:{lectr.port}", ADMIN_TOKEN, 2)
    assert problems
