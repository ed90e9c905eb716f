"""Threat 4: what names a client, a hop or a secret never goes on, however its name is written."""

from collections.abc import Callable

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Provider
from tests.running import Lectr

NEVER = (
    "cookie", "cookie2", "forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-forwarded-anything", "proxy-authorization", "proxy-connection", "keep-alive", "te", "trailer",
    "x-goog-api-key", "x-lectr-feature", "x-lectr-anything", "ocp-apim-subscription-key",
)  # fmt: skip


def underscored(name: str) -> str:
    return name.replace("-", "_")


@pytest.mark.parametrize("spelling", [str, str.upper, underscored])
def test_t04_what_may_not_go_on_does_not(lectr: Lectr, provider: Provider, spelling: Callable[[str], str]) -> None:
    mark = f"never-{spelling('a-b')}"
    sent = {spelling(name): "canary" for name in NEVER} | {"x-probe": mark, "openai-beta": "kept=1", "x_own": "kept"}
    assert lectr.call(body=asking(), headers=sent).status == 200
    seen = provider.asked("x-probe", mark)
    values = dict(seen.headers)
    assert "canary" not in values.values()
    assert (values["openai-beta"], values["x_own"]) == ("kept=1", "kept")


def test_t04_what_connection_names_is_dropped(lectr: Lectr, provider: Provider) -> None:
    sent = {"connection": "x-secret, close, X-Other", "x-secret": "canary", "x-other": "canary", "x-probe": "named"}
    assert lectr.call(body=asking(), headers=sent).status == 200
    assert "canary" not in dict(provider.asked("x-probe", "named").headers).values()
