"""Doctor picks the cheapest living model that talks, says the most it can cost, and reads what came of it."""

from typing import Any

import pytest

from app.catalog.catalog import Catalog, CatalogHolder
from app.errors import NotFoundError, RequestRejected
from app.operations.doctor import Doctor, DoctorReport, DoctorStep
from app.record import Record
from app.settings import Settings
from app.upstream.formats import RequestFacts

NOW_US = 1_795_300_000_000_000
SETTINGS = Settings(openai_api_key="any", anthropic_api_key="any", groq_api_key="any", gemini_api_key="any")
PROVIDERS = ("openai", "anthropic", "groq", "gemini", "azure")


class Pipeline:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, status: int = 200, usage: dict[str, Any] | None = None, cost: int | None = None) -> None:
        self.status, self.usage, self.cost = status, usage, cost
        self.rejected: RequestRejected | None = None
        self.records: list[Record] = []

    async def run(self, record: Record, facts: RequestFacts) -> None:
        self.records.append(record)
        if self.rejected is not None:
            raise self.rejected
        await record.caller.start(self.status, [])
        record.reply.usage, record.cost_picousd = self.usage, self.cost

    async def reject(self, record: Record, rejected: RequestRejected) -> None:
        assert rejected is self.rejected


def doctor(catalog: Catalog, pipeline: Pipeline, settings: Settings = SETTINGS) -> Doctor:
    return Doctor(settings, CatalogHolder(catalog), pipeline, lambda: NOW_US)


def steps(report: DoctorReport) -> dict[str, bool | None]:
    return {step.name: step.ok for step in report.steps}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_plan_names_a_living_priced_model_that_talks(shipped: Catalog, provider: str) -> None:
    plan = doctor(shipped, Pipeline()).plan(provider)
    model = shipped.find(plan.model, provider)
    assert model is not None
    assert (model.mode, model.capabilities.tools) == ("chat", True)
    assert 0 < float(plan.expected_cost_usd) < 0.001
    assert plan.steps == ()


def test_no_such_provider_is_said(shipped: Catalog) -> None:
    with pytest.raises(NotFoundError, match="there are openai"):
        doctor(shipped, Pipeline()).plan("nobody")


@pytest.mark.anyio
async def test_a_healthy_provider(shipped: Catalog) -> None:
    pipeline = Pipeline(usage={"prompt_tokens": 9}, cost=1_500_000)
    report = await doctor(shipped, pipeline).examine("groq")
    assert report.ok
    assert steps(report) == {"key": True, "answer": True, "streaming usage": True, "price": True}
    assert report.steps[-1] == DoctorStep("price", True, "$0.0000015")
    request = pipeline.records[0].request
    assert (request.provider_header, request.stream, request.feature) == ("groq", True, "doctor")
    assert request.provider_keys == ()


@pytest.mark.anyio
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_the_end(shipped: Catalog, status: int) -> None:
    report = await doctor(shipped, Pipeline(status)).examine("openai")
    assert (report.ok, steps(report)) == (False, {"key": False})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pipeline", "found"),
    [
        (Pipeline(500), {"key": True, "answer": False}),
        (Pipeline(200, None, None), {"key": True, "answer": True, "streaming usage": False, "price": False}),
        (Pipeline(200, {"x": 1}, None), {"key": True, "answer": True, "streaming usage": True, "price": False}),
    ],
    ids=["error", "no usage", "no price"],
)
async def test_what_is_not_well_is_named(shipped: Catalog, pipeline: Pipeline, found: dict[str, bool]) -> None:
    report = await doctor(shipped, pipeline).examine("openai")
    assert not report.ok
    assert steps(report) == found


@pytest.mark.anyio
async def test_a_provider_that_is_not_reached_says_why(shipped: Catalog) -> None:
    pipeline = Pipeline()
    pipeline.rejected = RequestRejected(503, "provider_unreachable", "Nobody answers there.")
    report = await doctor(shipped, pipeline).examine("openai")
    assert report.steps == (DoctorStep("connection", False, "Nobody answers there."),)


@pytest.mark.anyio
async def test_without_a_key_nothing_is_sent(shipped: Catalog) -> None:
    pipeline = Pipeline()
    report = await doctor(shipped, pipeline, Settings()).examine("openai")
    assert (report.ok, steps(report), pipeline.records) == (False, {"key": False}, [])
