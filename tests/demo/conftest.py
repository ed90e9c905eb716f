"""One stand-in for all tests of this folder."""

from collections.abc import Iterator

import pytest

from app.demo.serving import serving
from app.demo.standin import StandIn


@pytest.fixture(scope="session")
def standin() -> StandIn:
    return StandIn(pace_s=0.001, keep_requests=10)


@pytest.fixture(scope="session")
def address(standin: StandIn) -> Iterator[str]:
    with serving(standin) as address:
        yield address


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
