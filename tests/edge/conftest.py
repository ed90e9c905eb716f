"""One provider for the folder, one Lectr for each file."""

from collections.abc import Iterator

import pytest

from app.demo.serving import base_urls
from app.settings import Settings
from tests.edge.provider import Provider, running_provider
from tests.running import Lectr, data_settings, running


def upstream_settings(address: str) -> dict[str, str]:
    """Settings that lead every provider to one address, each under a path of its own."""
    urls = base_urls(address)
    return {f"{name}_base_url": urls[name] for name in ("openai", "anthropic", "groq", "gemini")} | {
        "azure_endpoint": urls["azure"]
    }


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def settings(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A file's own settings; files with other needs override this."""
    return data_settings(tmp_path_factory.mktemp("lectr"), max_body_mb=1, **upstream_settings(provider.address))


@pytest.fixture(scope="module")
def lectr(settings: Settings) -> Iterator[Lectr]:
    with running(settings) as lectr:
        yield lectr
