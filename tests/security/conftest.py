"""One provider and one Lectr under attack."""

from collections.abc import Iterator

import pytest

from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider, running_provider
from tests.running import Lectr, data_settings, running


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def lectr(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    values = {"max_body_mb": 1, "client_headers_timeout_s": 3.0, **upstream_settings(provider.address)}
    with running(data_settings(tmp_path_factory.mktemp("attacked"), **values)) as lectr:
        yield lectr
        assert lectr.health()["unexpected_errors"] == 0
