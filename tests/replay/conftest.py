"""Two Lectrs whose clock says when an exchange was recorded: one for each form of Azure endpoint."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider, Seen, running_provider
from tests.replay.exchanges import Sent, answering, is_foundry, recorded_at_us
from tests.running import Answer, Lectr, call, data_settings, running


class Replay:
    """Sends exchanges one after the other; keeps what the provider saw."""

    def __init__(self, provider: Provider, now: dict[str, int]) -> None:
        self.provider = provider
        self._now = now
        self.plain: Lectr
        self.foundry: Lectr

    def lectr(self, exchange: dict[str, Any]) -> Lectr:
        return self.foundry if is_foundry(exchange) else self.plain

    def send(self, sent: Sent) -> tuple[Answer, Seen | None]:
        """What the client got, and what reached the provider (None where Lectr answered itself)."""
        lectr = self.lectr(sent.exchange)
        self._now["us"] = recorded_at_us(sent.exchange)
        self.provider.default = answering(sent.exchange)
        before = len(self.provider.seen)
        headers = [*sent.headers.items(), ("x-lectr-key", lectr.keys["plain"])]
        answer = call(lectr.port, sent.method, sent.target, sent.body, headers)
        seen = self.provider.seen[before:]
        assert len(seen) <= 1
        return answer, seen[0] if seen else None

    def row(self, sent: Sent, answer: Answer) -> dict[str, Any]:
        return self.lectr(sent.exchange).row(answer.id)


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    now = {"us": 1_700_000_000_000_000}
    with running_provider() as provider:
        replay = Replay(provider, now)
        settings = data_settings(tmp_path_factory.mktemp("replay"), **upstream_settings(provider.address))
        foundry = data_settings(tmp_path_factory.mktemp("foundry"), azure_endpoint=f"{provider.address}/azure/models/")
        with (
            running(settings, clock=lambda: now["us"]) as replay.plain,
            running(foundry, clock=lambda: now["us"]) as replay.foundry,
        ):
            yield replay
