"""The real Lectr before the stand-in, with a key of the box for callers that bring none."""

from collections.abc import Iterator

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn
from tests import canaries
from tests.api.serving import Lectr, serving_lectr, settings_for

BOX_KEY = canaries.CLIENT_BOX


@pytest.fixture(scope="session")
def standin() -> StandIn:
    return StandIn(pace_s=0.001, keep_requests=20)


@pytest.fixture(scope="session")
def direct(standin: StandIn) -> Iterator[str]:
    """The stand-in's own address: what a program would use without Lectr."""
    with serving(standin) as address:
        yield address


@pytest.fixture(scope="session")
def lectr(tmp_path_factory: pytest.TempPathFactory, direct: str) -> Iterator[Lectr]:
    settings = settings_for(
        tmp_path_factory.mktemp("clients") / "data",
        direct,
        openai_api_key=BOX_KEY,
        anthropic_api_key=BOX_KEY,
        groq_api_key=BOX_KEY,
        gemini_api_key=BOX_KEY,
        azure_openai_api_key=BOX_KEY,
    )
    with serving_lectr(settings) as running:
        yield running


@pytest.fixture
def feature(request: pytest.FixtureRequest) -> str:
    """A feature of this test alone, by which its rows are found."""
    return f"{request.module.__name__.rpartition('.')[2]} {request.node.name}"[-100:]
