"""Threat 2: no control byte passes in a header field, in either direction."""

import asyncio

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Call, Provider
from tests.running import Lectr
from tests.security.corpus import bad_bytes_in_fields
from tests.security.wire import exchange_all, statuses


def test_t02_control_bytes_in_a_clients_fields_are_refused_or_gone(lectr: Lectr, provider: Provider) -> None:
    cases, since = list(bad_bytes_in_fields()), len(provider.seen)
    key = lectr.keys["plain"].encode()
    attacks = [
        b"GET /v1/files/bad HTTP/1.1\r\nHost: a\r\n" + line + b"\r\nX-Lectr-Key: " + key + b"\r\nx-api-key: k\r\n"
        b"Connection: close\r\n\r\n"
        for _, line in cases
    ]
    answers = asyncio.run(exchange_all(lectr.port, attacks, quiet_s=1.0))
    for (place, _), answer in zip(cases, answers, strict=True):
        assert statuses(answer) in ([200], [400], [401]), place
    for seen in provider.seen[since:]:
        for name, value in seen.headers:
            assert not any((ord(letter) < 0x20 and letter != "\t") or ord(letter) == 0x7F for letter in name + value)
    refused = [place for (place, _), answer in zip(cases, answers, strict=True) if statuses(answer) == [400]]
    assert len(refused) > 150


@pytest.mark.parametrize("byte", [*range(1, 0x20), 0x7F])
def test_t02_control_bytes_in_a_providers_fields_crash_nothing(lectr: Lectr, provider: Provider, byte: int) -> None:
    async def play(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-bad: a%cb\r\nx-good: c\r\n\r\nok" % byte)

    answer = lectr.call("/v1/files/x", headers=provider.plays_as(play))
    assert answer.status in (200, 502)
    value = answer.header("x-bad") or ""
    assert all(ord(letter) >= 0x20 or letter == "\t" for letter in value)


@pytest.mark.parametrize("status", ["600", "700", "999", "199", "101", "000", "099", "20", "2000", "-20", "0x1"])
def test_t33_a_status_that_is_none_is_a_bad_answer(lectr: Lectr, provider: Provider, status: str) -> None:
    async def play(call: Call) -> None:
        await call.send(f"HTTP/1.1 {status} Odd\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        call.hang_up()

    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert (answer.status, answer.code) == (502, "provider_bad_response")
    assert lectr.row(answer.id)["outcome"] in ("bad_response", "upstream_reset")


@pytest.mark.parametrize("status", [200, 204, 299, 304, 418, 499, 599])
def test_every_status_that_is_one_passes(lectr: Lectr, provider: Provider, status: int) -> None:
    async def play(call: Call) -> None:
        await call.whole(status, b"" if status in (204, 304) else b"{}")

    assert lectr.call("/v1/files/x", headers=provider.plays_as(play)).status == status
