"""One provider and one Lectr for the folder; files with other needs start a Lectr of their own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import httpx
import pytest

from app.demo.serving import base_urls
from tests.edge.provider import Provider, running_provider
from tests.running import Lectr, data_settings, running

KEYS: dict[str, dict[str, Any]] = {
    "with-feature": {"feature": "of-the-key"},
    "azure": {"provider": "azure"},
    "groq": {"provider": "groq"},
    "three-a-minute": {"requests_per_minute": 3},
    "one-stream": {"streams": 1},
}


def upstream_settings(address: str) -> dict[str, str]:
    """Settings that lead every provider to one address, each under a path of its own."""
    urls = base_urls(address)
    return {f"{name}_base_url": urls[name] for name in ("openai", "anthropic", "groq", "gemini")} | {
        "azure_endpoint": urls["azure"]
    }


class StartLectr(Protocol):
    def __call__(
        self, *, transport: httpx.AsyncBaseTransport | None = None, **settings: Any
    ) -> AbstractContextManager[Lectr]: ...


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def start_lectr(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> StartLectr:
    """Starts a Lectr with settings of its own; what is not given leads to the provider."""

    def start(*, transport: httpx.AsyncBaseTransport | None = None, **settings: Any) -> AbstractContextManager[Lectr]:
        values = {"max_body_mb": 1, **upstream_settings(provider.address), **settings}
        return running(data_settings(tmp_path_factory.mktemp("lectr"), **values), keys=KEYS, transport=transport)

    return start


@pytest.fixture(scope="session")
def lectr(start_lectr: StartLectr) -> Iterator[Lectr]:
    with start_lectr() as lectr:
        yield lectr
