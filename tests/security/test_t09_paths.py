"""Threats 8, 9, 39 and 48: no path, query, model or method leaves the place it was given."""

import asyncio
import random
import re

import pytest

from app.catalog.load import load_catalog
from app.domain import InboundRequest, KeyIdentity
from app.edge.paths import MAX_TARGET_BYTES, read_path
from app.errors import RequestRejected
from app.settings import Settings
from app.upstream.exchange import place_of
from app.upstream.targets import upstream_url
from tests.edge.provider import Provider
from tests.house.files import ROOT
from tests.running import Lectr
from tests.security.corpus import METHODS, as_target, traversals
from tests.security.wire import exchange_all, reached, statuses

CATALOG = load_catalog(ROOT / "registry")
KEY = KeyIdentity(1, "a", None, None, None, None)


def asked(path: str, model: str | None = None, deployment: str | None = None, query: str = "") -> InboundRequest:
    return InboundRequest(
        id="", started_at_us=0, method="POST", path=path, query=query, endpoint="chat.completions", headers=[],
        body=b"", key=KEY, feature=None, task=None, provider_header=None, provider_keys=(), model=model,
        deployment=deployment,
    )  # fmt: skip


def test_t09_no_climbing_path_leaves_the_providers_base() -> None:
    passed = 0
    for climb in traversals():
        for raw in (b"/v1/" + as_target(climb), b"/v1/files/" + as_target(climb) + b"/x", b"/v1/" + climb.encode()):
            try:
                place = read_path("GET", raw, b"")
            except RequestRejected:
                continue
            passed += 1
            sent = place_of(upstream_url(asked(place.path), CATALOG.providers["gemini"], Settings(), "", ""))
            assert sent.origin == (b"https", b"generativelanguage.googleapis.com", 0)
            assert sent.host == b"generativelanguage.googleapis.com"
            path = sent.target.partition(b"?")[0]
            assert path.startswith(b"/v1beta/openai/"), climb
            assert b".." not in path
            assert b"/./" not in path
    assert passed > 100


def test_t09_a_model_is_one_step_of_azures_path_or_refused() -> None:
    for climb in {*traversals(), ".", "..", "%2e%2e", "a?b=c", "a#b", "a/b", "\r\nx: y", "\x00", "é", "\U0001f600"}:
        for request in (asked("/v1/chat/completions", climb), asked("/v1/chat/completions", None, climb)):
            try:
                text = upstream_url(request, CATALOG.providers["azure"], Settings(), "https://a.example", "2024-10-21")
            except RequestRejected:
                assert climb in (".", "..")
                continue
            if not climb:
                continue
            assert re.fullmatch(
                rb"/openai/deployments/[^/?#]+/chat/completions\?api-version=2024-10-21", place_of(text).target
            ), climb


def test_an_endless_target_is_refused(lectr: Lectr, provider: Provider) -> None:
    since = len(provider.seen)
    for target in ("/v1/" + "a" * MAX_TARGET_BYTES, "/v1/files?" + "a&" * MAX_TARGET_BYTES, "/v1" * 20_000 + "/files"):
        assert lectr.call(target).status in (400, 431)
    assert lectr.call("/v1/files?" + "a" * (MAX_TARGET_BYTES - 100)).status == 200
    assert len(provider.seen) == since + 1


VARIANTS = (
    "/v1/chat/completions", "//v1/chat/completions", "/V1/chat/completions", "/v1/chat/completions/", "/v1//chat",
    "/v1/chat%2fcompletions", "/%76%31/chat/completions", "/v1/%63hat/completions", "/v1/./chat/completions",
    "/v1/models/../chat", "/v1;x/chat/completions", "/v1/chat/completions?key=a", "/v1/chat/completions#x", "/v1",
    "/v1/", "/v1/v1/chat/completions", "/openai/v1/chat/completions", "/openai/v1//chat", "/v1/models", "/v1/files",
    "/v1/deployments/x/chat/completions", "/v1evil", "http://evil.test/v1/chat/completions", "/v1/realtime", "*",
    "evil.test:443", "/health/v1/files", "/api/v1/files", "/static/../v1/files", "/v1/messages", "?", "/?/v1/files",
)  # fmt: skip


@pytest.mark.parametrize("key", [b"", b"X-Lectr-Key: lc_key_" + b"a" * 32 + b"\r\n", b"X_Lectr_Key: %b\r\n"])
def test_t08_without_a_valid_key_no_method_and_path_reaches_a_provider(
    lectr: Lectr, provider: Provider, key: bytes
) -> None:
    since, connections = len(provider.seen), provider.connections
    key = key.replace(b"%b", lectr.keys["plain"].encode())
    lines = [(method, target) for target in VARIANTS for method in ("GET", "POST", "OPTIONS", "PUT")]
    lines += [(method, target) for target in VARIANTS[:3] for method in METHODS]
    attacks = [
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-a\r\nConnection: close\r\n".encode()
        + key
        + b"Content-Length: 2\r\n\r\n{}"
        for method, target in lines
    ]
    answers = asyncio.run(exchange_all(lectr.port, attacks, quiet_s=1.0))
    for line, answer in zip(lines, answers, strict=True):
        told = (204,) if line[0] == "OPTIONS" else ()
        assert all(status in (303, 400, 401, 404, 405, *told) for status in statuses(answer)), (line, answer[:300])
    assert (reached(provider, since), provider.connections) == ([], connections)


def test_t48_with_a_key_no_method_opens_a_tunnel_or_an_echo(lectr: Lectr, provider: Provider) -> None:
    since = len(provider.seen)
    for method in METHODS:
        key = lectr.keys["plain"]
        line = f"{method} /v1/files/m HTTP/1.1\r\nHost: a\r\nX-Lectr-Key: {key}\r\nx-api-key: k\r\n"
        data = f"{line}Connection: close\r\nContent-Length: 0\r\n\r\n".encode()
        [answer] = asyncio.run(exchange_all(lectr.port, [data], quiet_s=1.0))
        assert len(statuses(answer)) <= 1
        assert all(status in (200, 400, 405) for status in statuses(answer)), (method, answer)
    methods = {seen.method for seen in provider.seen[since:]}
    assert methods & {"TRACE", "CONNECT", "PRI"} == set()
    assert {"DELETE", "PATCH", "PUT"} <= methods


def test_t39_no_path_below_static_is_a_file_of_the_disk(lectr: Lectr) -> None:
    climbs = random.Random(1).sample(sorted(set(traversals())), 300)
    attacks = [
        b"GET /static/%b HTTP/1.1\r\nHost: a\r\nRange: bytes=%b\r\nConnection: close\r\n\r\n"
        % (as_target(climb), b",".join(b"0-%d" % n for n in range(500)))
        for climb in climbs
    ]
    for climb, answer in zip(climbs, asyncio.run(exchange_all(lectr.port, attacks, 1.0)), strict=True):
        assert statuses(answer) in ([404], [400]), (climb, answer[:200])
        assert b"root:" not in answer


def test_t48_an_upgrade_is_refused_and_the_next_request_is_none(
    lectr: Lectr, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    since, key = len(provider.seen), lectr.keys["plain"]
    for upgrade in ("websocket", "h2c", "HTTP/2.0", "TLS/1.0"):
        data = (
            f"GET /v1/realtime HTTP/1.1\r\nHost: a\r\nX-Lectr-Key: {key}\r\nx-api-key: k\r\nConnection: Upgrade\r\n"
            f"Upgrade: {upgrade}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            "GET /v1/files/inner HTTP/1.1\r\nHost: a\r\nX-Lectr-Key: {key}\r\n\r\n"
        )
        [answer] = asyncio.run(exchange_all(lectr.port, [data.encode()], quiet_s=1.0))
        assert 101 not in statuses(answer)
    assert all("inner" not in line for line in reached(provider, since))
    assert "upgrade" not in caplog.text
    assert "WebSocket" not in caplog.text, "uvicorn's advice to install a library that Lectr does not take"
