"""Threat 3: whatever the framing says, the provider sees the requests of an honest reader and none more."""

import asyncio
import json
import re

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Provider
from tests.running import Lectr, Raw
from tests.security.corpus import mutated_smuggling, smuggled, smuggling
from tests.security.wire import exchange_all, reached, statuses

SAMPLE = 7
"""The gate takes every seventh of the products; `make security` takes all."""


def fields(lectr: Lectr) -> bytes:
    return f"Host: a\r\nX-Lectr-Key: {lectr.keys['plain']}\r\nAuthorization: Bearer sk-a\r\n".encode()


def extra(provider: Provider, since: int) -> list[str]:
    """What reached the provider and is neither an attack's own request nor a marker."""
    own = re.compile(r"POST \S*/v1/files/attack-m?\d+\Z|GET \S*/v1/files/marker-\d+\Z")
    return [line for line in reached(provider, since) if not own.match(line)]


def test_t03_no_framing_brings_a_second_request_to_the_provider(lectr: Lectr, provider: Provider) -> None:
    head, since = fields(lectr), len(provider.seen)
    cases = [*list(smuggling(head))[::SAMPLE], *list(smuggling(head))[-40:], *mutated_smuggling(head, 400)]
    attacks = [data + smuggled("after", head) for _, data in cases]
    answers = asyncio.run(exchange_all(lectr.port, attacks))
    assert extra(provider, since) == [] or set(extra(provider, since)) == {"GET /openai/v1/files/smuggled-after"}
    for (name, data), answer in zip(cases, answers, strict=True):
        assert 500 not in statuses(answer), name
        if b"chunked" in data.lower() and b"content-length: " in data.lower() and name.startswith("te.cl"):
            assert statuses(answer) == [400], name
    marker = asyncio.run(exchange_all(lectr.port, [b"GET /v1/files/marker-1 HTTP/1.1\r\n" + head + b"\r\n"]))
    assert statuses(marker[0]) == [200]


def test_an_honest_second_request_is_seen(lectr: Lectr, provider: Provider) -> None:
    """The negative control: the marker reaches the provider where its framing is honest."""
    since, head = len(provider.seen), fields(lectr)
    data = b"POST /v1/files/attack-0 HTTP/1.1\r\n" + head + b"Content-Length: 2\r\n\r\n{}" + smuggled("honest", head)
    assert statuses(asyncio.run(exchange_all(lectr.port, [data], quiet_s=1.0))[0]) == [200, 200]
    assert extra(provider, since) == ["GET /openai/v1/files/smuggled-honest"]


def test_length_and_coding_together_are_refused_and_the_connection_closes(lectr: Lectr) -> None:
    head = fields(lectr)
    for both in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    ):
        with Raw(lectr.port) as raw:
            raw.send(b"POST /v1/files HTTP/1.1\r\n" + head + both + b"\r\n\r\n0\r\n\r\n" + smuggled(1, head))
            answer = raw.read_all()
        assert statuses(answer) == [400]
        assert b"x-content-type-options: nosniff" in answer


def test_t03_a_trailer_is_no_header(lectr: Lectr, provider: Provider) -> None:
    """A name that comes behind the body must not change what was decided before it."""
    trailers = b"X-Mark: trailer\r\nContent-Type: multipart/form-data; boundary=x\r\nX-Lectr-Provider: groq\r\n"
    body = b'{"model": "gpt-4o-mini", "messages": []}'
    with Raw(lectr.port) as raw:
        raw.send(
            b"POST /v1/chat/completions HTTP/1.1\r\n"
            + fields(lectr)
            + b"X-Probe: trailers\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)
        )
        assert b"x-lectr-provider: openai" in raw.read_until(b'"usage"')
    seen = provider.asked("x-probe", "trailers")
    assert "x-mark" not in seen.names()
    assert [value for name, value in seen.headers if name == "content-type"] == ["application/json"]


@pytest.mark.parametrize("name", ["host", "content-type", "authorization", "x-api-key", "api-key", "x-lectr-key"])
def test_a_field_that_must_come_once_is_refused_twice(lectr: Lectr, provider: Provider, name: str) -> None:
    since = len(provider.seen)
    line = f"{name}: {lectr.keys['plain'] if name == 'x-lectr-key' else 'Bearer a'}\r\n".encode()
    targets = (b"/v1/chat/completions", b"/", b"/sign-in", b"/api/requests", b"/nowhere")
    rest = fields(lectr) + line + line + b"Content-Length: 2\r\n\r\n{}"
    answers = asyncio.run(exchange_all(lectr.port, [b"POST %b HTTP/1.1\r\n" % t + rest for t in targets], 1.0))
    assert [statuses(answer) for answer in answers] == [[400]] * len(targets)
    assert reached(provider, since) == []


def test_framing_is_made_anew_for_the_provider(lectr: Lectr, provider: Provider) -> None:
    body = json.dumps(asking()).encode()
    answer = lectr.call(headers={"x-probe": "anew", "content-type": "application/json"}, chunks=[body[:9], body[9:]])
    assert answer.status == 200
    seen = provider.asked("x-probe", "anew")
    assert (seen.header("content-length"), seen.header("transfer-encoding")) == (str(len(body)), None)
    assert seen.body == body


def test_a_bad_second_request_does_not_answer_the_first(lectr: Lectr) -> None:
    head = fields(lectr)
    first = b"GET /v1/files/attack-9 HTTP/1.1\r\n" + head + b"\r\n"
    with Raw(lectr.port) as raw:
        answer = raw.send(first + b"\x00\x01garbage\r\n\r\n").read_all()
    assert statuses(answer) in ([], [200])
