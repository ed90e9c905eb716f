"""One provider and one Lectr under attack."""

import logging
import traceback
from collections.abc import Iterator

import pytest

from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider, running_provider
from tests.running import Lectr, data_settings, running


class Faults(logging.Handler):
    """Keeps what Lectr says of its own faults, so that the last test can tell which they were."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = traceback.format_exception(*record.exc_info)[-3:] if record.exc_info else []
        self.told.append(f"{record.getMessage()}: {''.join(trace)}"[:600])


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def lectr(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    faults = Faults()
    logging.getLogger("lectr").addHandler(faults)
    values = {"max_body_mb": 1, "client_headers_timeout_s": 3.0, **upstream_settings(provider.address)}
    with running(data_settings(tmp_path_factory.mktemp("attacked"), **values)) as lectr:
        yield lectr
        assert lectr.health()["unexpected_errors"] == 0, faults.told
    logging.getLogger("lectr").removeHandler(faults)
