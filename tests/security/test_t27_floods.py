"""Threats 21 to 29: too much of anything is refused in bounded memory, and the rest goes on."""

import asyncio
import gzip
import json
import resource
import time

import msgspec
import psutil
import pytest

from app.edge import process_limits
from app.edge.connection import MAX_BARE_BYTES
from app.edge.server import server_config
from app.settings import Settings
from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Call, Provider
from tests.running import Lectr, Raw, data_settings, running
from tests.security.corpus import json_bodies
from tests.security.wire import statuses

MIB = 1024 * 1024


def resident() -> int:
    return psutil.Process().memory_info().rss


def pour(raw: Raw, piece: bytes, most: int) -> int:
    """Bytes that were taken before the connection ended."""
    taken = 0
    try:
        while taken < most:
            raw.send(piece)
            taken += len(piece)
    except ConnectionError:
        pass
    return taken


def test_t27_endless_header_fields_end_at_the_limit(lectr: Lectr) -> None:
    for start, piece in (
        (b"GET / HTTP/1.1\r\n", b"x-%s: y\r\n" % (b"a" * 1000)),
        (b"GET / HTTP/1.1\r\nx: ", b"y" * 4096),
        (b"GET /", b"a" * 4096),
        (b"", b"\r\n" * 2048),
    ):
        before = resident()
        with Raw(lectr.port) as raw:
            assert pour(raw.send(start), piece, 64 * MIB) < 16 * MIB
        assert resident() - before < 16 * MIB


def test_the_refusal_of_too_many_fields_can_be_read(lectr: Lectr) -> None:
    with Raw(lectr.port) as raw:
        raw.send(b"GET / HTTP/1.1\r\nx: " + b"y" * (MAX_BARE_BYTES + 1))
        answer = raw.read_all()
    assert statuses(answer) == [431]
    assert b"cache-control: no-store" in answer


@pytest.mark.parametrize("piece", [b"x-trailer: y\r\n", b"x-long: " + b"y" * 4096 + b"\r\n"])
def test_t27_endless_trailers_end_at_the_limit(lectr: Lectr, piece: bytes) -> None:
    with Raw(lectr.port) as raw:
        raw.send(b"POST /sign-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        assert pour(raw, piece * 64, 64 * MIB) < 16 * MIB


def test_an_endless_chunk_extension_ends_at_the_limit(lectr: Lectr) -> None:
    with Raw(lectr.port) as raw:
        raw.send(b"POST /sign-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;")
        assert pour(raw, b"e" * 65536, 64 * MIB) < 16 * MIB


def test_t28_the_most_connections_are_kept_and_more_are_told(
    provider: Provider, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.edge.server.connection_cap", lambda: 8)
    values = upstream_settings(provider.address)
    with running(data_settings(tmp_path_factory.mktemp("capped"), **values)) as lectr:
        lectr.close()
        time.sleep(0.2)
        held = [Raw(lectr.port).send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(8)]
        assert all(statuses(raw.read_until(b"}")) == [200] for raw in held)
        with Raw(lectr.port) as raw:
            assert statuses(raw.read_all()) == [503]
        held.pop().vanish()
        time.sleep(0.2)
        with Raw(lectr.port) as raw:
            assert statuses(raw.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").read_until(b"}")) == [200]
        for raw in held:
            raw.vanish()


def test_f23_there_is_a_descriptor_for_each_call_upstream() -> None:
    process_limits.raise_limits()
    raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert process_limits.connection_cap() * 2 + 64 <= raised
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    protocol = server_config(None, Settings()).http
    assert protocol.most_connections == process_limits.connection_cap()  # type: ignore[union-attr]


def test_t21_an_encoded_body_is_refused_unread(lectr: Lectr, provider: Provider) -> None:
    since, before = len(provider.seen), resident()
    bomb = gzip.compress(gzip.compress(b"\0" * (32 * MIB)))
    for coding in ("gzip", "br", "zstd", "deflate", "compress", "gzip, identity", "x-gzip", "GZIP", "identity, gzip"):
        answer = lectr.call(body=bomb, headers={"content-encoding": coding})
        assert (answer.status, answer.code) == (415, "unsupported_encoding")
    assert resident() - before < 8 * MIB
    assert len(provider.seen) == since


def test_t22_an_encoded_answer_passes_raw_and_is_never_unpacked(lectr: Lectr, provider: Provider) -> None:
    bomb = gzip.compress(b"\0" * (256 * MIB), 9)

    async def play(call: Call) -> None:
        await call.whole(200, bomb, ("content-type", "application/json"), ("content-encoding", "gzip"))

    before = resident()
    answer = lectr.call(body=asking(), headers=provider.plays_as(play))
    assert answer.body == bomb
    assert lectr.row(answer.id)["cost_reason"] == "encoded_body"
    assert resident() - before < 32 * MIB


def test_t27_exactly_the_limit_passes_and_one_byte_more_is_told(lectr: Lectr) -> None:
    frame = len(json.dumps(asking(pad="")))
    exact = json.dumps(asking(pad="x" * (MIB - frame))).encode()
    assert len(exact) == MIB
    assert lectr.call(body=exact).status == 200
    answer = lectr.call(body=exact + b" ")
    assert (answer.status, answer.code) == (413, "request_too_large")
    answer = lectr.call(headers={"content-type": "application/json"}, chunks=[exact, b" "])
    assert (answer.status, answer.code) == (413, "request_too_large")


@pytest.mark.parametrize("length", ["-1", "+1", "1e3", "0x10", "9" * 5000, "1 1", "1,1", ""])
def test_a_length_that_is_none_is_refused(lectr: Lectr, length: str) -> None:
    with Raw(lectr.port) as raw:
        raw.send(f"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
        assert statuses(raw.read_until(b"\r\n\r\n")) in ([400], [401])


@pytest.mark.parametrize("target", ["/v1/files", "/v1/chat/completions"])
def test_a_length_of_5000_digits_is_refused(lectr: Lectr, target: str) -> None:
    """Found by the siege: Python reads no number that long, and said so with an exception."""
    with Raw(lectr.port) as raw:
        head = f"POST {target} HTTP/1.1\r\nHost: a\r\nX-Lectr-Key: {lectr.keys['plain']}\r\nx-api-key: k\r\n"
        raw.send(f"{head}Content-Length: {'0' * 5000}2\r\n\r\n{{}}".encode())
        assert statuses(raw.read_until(b"\r\n\r\n")) == [400]


@pytest.mark.parametrize("name", ["model", "stream", "stream_options"])
def test_t24_a_key_that_decides_comes_once(lectr: Lectr, provider: Provider, name: str) -> None:
    """Threat 24: of two, Lectr could read the one and the provider the other."""
    since = len(provider.seen)
    value = {"model": '"gpt-4o"', "stream": "true", "stream_options": "{}"}[name]
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in name)
    for first, second in ((name, name), (name, hidden), (hidden, name), (hidden, hidden)):
        for pad in ("", " " * 9000):
            body = f'{{"model":"gpt-4o-mini","{first}":{value},"messages":[],{pad}"{second}":{value}}}'
            answer = lectr.call(body=body.encode())
            assert (answer.status, answer.code) == (400, "invalid_request"), body[:80]
    assert len(provider.seen) == since


def test_t24_t26_what_is_sent_is_what_is_recorded(lectr: Lectr, provider: Provider) -> None:
    for number, body in enumerate(json_bodies(250)):
        headers = {"x-probe": f"json-{number}"}
        answer = lectr.call(body=body, headers=headers)
        assert answer.status in (200, 400), body[:200]
        if answer.status == 200:
            seen = provider.asked("x-probe", f"json-{number}")
            model = json.loads(seen.body.decode("utf-8", "surrogatepass")).get("model")
            assert lectr.row(answer.id)["request_model"] == model or "\ud800" in model


def test_t23_f21_depth_is_refused_at_once(lectr: Lectr) -> None:
    for body in (b"[" * 100_000, b'{"a":' * 60_000, b'{"model":"a","b":' + b"[" * 129 + b"]" * 129 + b"}"):
        before = time.monotonic()
        assert lectr.call(body=body).status == 400
        assert time.monotonic() - before < 1.0
    deep = b'{"model":"gpt-4o-mini","b":' + b"[" * 127 + b"]" * 127 + b"}"
    assert lectr.call(body=deep).status == 200


def test_t15_a_form_of_nothing_but_fields_holds_nobody_up(lectr: Lectr) -> None:
    """Anybody can send the sign-in form: what it costs must be little."""
    body = b"a&" * (4 * MIB)
    fields = [("origin", f"http://127.0.0.1:{lectr.port}"), ("content-type", "application/x-www-form-urlencoded")]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)

    async def attack() -> tuple[bytes, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", lectr.port)
        start = f"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1:{lectr.port}\r\n{head}content-length: {len(body)}\r\n\r\n"
        began = time.monotonic()
        writer.write(start.encode() + body)
        answer = await asyncio.wait_for(reader.read(65536), 5)
        writer.transport.abort()
        return answer, time.monotonic() - began

    answer, took = asyncio.run(attack())
    assert statuses(answer) in ([413], [403])
    assert took < 1.0


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "//", "http://\u2100.test", "http://a/@b"])
def test_t17_an_origin_that_is_none_is_refused_not_a_fault(lectr: Lectr, origin: str) -> None:
    answer = lectr.call("/sign-in", b"name=a", {"origin": origin, "content-type": "application/x-www-form-urlencoded"})
    assert answer.status in (400, 403)


def test_t25_numbers_that_cannot_be_cost_nothing_impossible(lectr: Lectr, provider: Provider) -> None:
    """Threat 25: what a provider may write as its usage."""
    for number in (
        "-1",
        "1e400",
        "NaN",
        "Infinity",
        "9" * 400,
        "9223372036854775808",
        '"9"',
        "null",
        "[]",
        "{}",
        "1.5",
        "-0",
    ):
        body = f'{{"model":"gpt-4o-mini","usage":{{"prompt_tokens":{number},"completion_tokens":{number}}}}}'.encode()

        async def play(call: Call, body: bytes = body) -> None:
            await call.whole(200, body, ("content-type", "application/json"))

        answer = lectr.call(body=asking(), headers=provider.plays_as(play))
        assert answer.body == body
        row = lectr.row(answer.id)
        assert row["cost_picousd"] is None or 0 <= row["cost_picousd"] < 2**63
        assert all(row[name] is None or 0 <= row[name] < 2**63 for name in ("input_tokens", "output_tokens"))


def test_t38_the_settings_hide_every_secret() -> None:
    secrets = {name: f"canary-{name}" for name in ("admin_token", "admin_password", "secret", "database_url")}
    secrets |= {
        f"{name}_api_key": f"canary-{name}" for name in ("openai", "anthropic", "groq", "gemini", "azure_openai")
    }
    settings = msgspec.structs.replace(Settings(), **secrets)
    assert "canary" not in f"{settings!r} {settings}"
