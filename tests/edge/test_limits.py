"""Product.md section 6: sizes, encodings and the key's own limits; the client really gets the refusal."""

import asyncio
import http.client
import threading
import time
import uuid

import pytest

from tests.edge.asking import asking
from tests.edge.provider import Call, Provider, chat_events
from tests.edge.test_auth import mark
from tests.running import Lectr, Raw, call

LIMIT = 1024 * 1024


def body_of(size: int) -> bytes:
    head, tail = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"', b'"}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_holds_to_the_byte(lectr: Lectr, provider: Provider, chunked: bool, over: int) -> None:
    body, before, headers = body_of(LIMIT + over), len(provider.seen), mark("limit", chunked)
    chunks = [body[at : at + 60_000] for at in range(0, len(body), 60_000)] if chunked else None
    answer = lectr.call(body=None if chunked else body, chunks=chunks, headers=headers)
    if not over:
        assert answer.status == 200
        assert provider.asked("x-mark", headers["x-mark"]).body == body
        return
    assert (answer.status, answer.code, answer.whole) == (413, "request_too_large", True)
    assert "LECTR_MAX_BODY_MB" in answer.json["error"]["message"]
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["error_code"], row["cost_picousd"]) == (
        413,
        "rejected",
        "request_too_large",
        0,
    )
    assert len(provider.seen) == before


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [2, 8, 24])
def test_a_client_that_writes_all_before_it_reads_gets_the_413(lectr: Lectr, chunked: bool, size: int) -> None:
    body = b"x" * (size * LIMIT)
    for _ in range(3):
        chunks = [body[at : at + LIMIT] for at in range(0, len(body), LIMIT)] if chunked else None
        answer = lectr.call(body=None if chunked else body, chunks=chunks)
        assert (answer.status, answer.code) == (413, "request_too_large")


def test_a_huge_announced_length_is_refused_at_once(lectr: Lectr) -> None:
    began = time.monotonic()
    with Raw(lectr.port) as raw:
        request = lectr.raw("/v1/chat/completions", asking()).replace(b"content-length: ", b"content-length: 9999999")
        assert raw.send(request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").read_until(b"}}").startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < 1


def test_files_are_streamed_beyond_the_limit(lectr: Lectr, provider: Provider) -> None:
    for chunked in (False, True):
        body, headers = b"%d" % chunked * (3 * LIMIT), mark("file", chunked)
        chunks = [body[at : at + LIMIT] for at in range(0, len(body), LIMIT)] if chunked else None
        headers |= {"content-type": "multipart/form-data; boundary=x"}
        answer = lectr.call("/v1/files", None if chunked else body, headers, chunks=chunks)
        assert answer.status == 200
        seen = provider.asked("x-mark", headers["x-mark"])
        assert (seen.body == body, seen.target) == (True, "/openai/v1/files")
        assert (seen.header("content-length"), seen.header("transfer-encoding")) == (
            (None, "chunked") if chunked else (str(len(body)), None)
        )
        row = lectr.row(answer.id)
        assert (row["endpoint"], row["cost_picousd"], row["outcome"]) == ("other", 0, "ok")


def test_a_file_reaches_the_provider_while_it_comes(lectr: Lectr, provider: Provider) -> None:
    headers = mark("live")
    with Raw(lectr.port) as raw:
        head = lectr.raw("/v1/files", b"", headers).replace(b"content-length: 0", b"content-length: 20")
        raw.send(head + b"first-half")
        seen = provider.asked("x-mark", headers["x-mark"])
        raw.send(b"other-half")
        assert b"HTTP/1.1 200" in raw.read_until(b"}}")
        assert seen.body == b"first-halfother-half"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "GZIP", "x-unknown"])
def test_an_encoded_body_is_refused(lectr: Lectr, provider: Provider, encoding: str) -> None:
    before = len(provider.seen)
    for target in ("/v1/chat/completions", "/v1/files"):
        answer = lectr.call(target, b"\x1f\x8b" * 1000, {"content-encoding": encoding})
        assert (answer.status, answer.code) == (415, "unsupported_encoding")
        assert lectr.row(answer.id)["error_code"] == "unsupported_encoding"
    assert len(provider.seen) == before


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_encoding(lectr: Lectr, encoding: str) -> None:
    assert lectr.call(body=asking(), headers={"content-encoding": encoding}).status == 200


def test_a_keys_requests_a_minute(lectr: Lectr, provider: Provider) -> None:
    statuses = [lectr.call(body=asking(), key="three-a-minute").status for _ in range(3)]
    before = len(provider.seen)
    answer = lectr.call(body=asking(), key="three-a-minute")
    assert (statuses, answer.status, answer.code) == ([200] * 3, 429, "rate_limit_exceeded")
    assert 1 <= int(answer.header("retry-after") or 0) <= 20
    assert len(provider.seen) == before
    row = lectr.row(answer.id)
    assert (row["status"], row["outcome"], row["error_source"], row["cost_picousd"]) == (429, "rejected", "client", 0)
    assert lectr.call(body=asking()).status == 200


def test_a_keys_streams_at_once(lectr: Lectr, provider: Provider) -> None:
    release = threading.Event()

    async def play(call: Call) -> None:
        events = chat_events("a", usage=True)
        await call.stream(events[0])
        while not release.is_set():
            await asyncio.sleep(0.01)
        for event in events[1:]:
            await call.chunk(event)
        await call.end()

    headers = provider.plays_as(play) | {"x-lectr-key": lectr.keys["one-stream"]}
    with Raw(lectr.port) as raw:
        raw.send(lectr.raw("/v1/chat/completions", asking(stream=True), headers))
        raw.read_until(b"data: ")
        second = lectr.call(body=asking(stream=True), key="one-stream")
        assert (second.status, second.code) == (429, "concurrent_streams_exceeded")
        assert second.header("retry-after") == "1"
        assert lectr.call(body=asking(), key="one-stream").status == 200
        assert lectr.call(body=asking(stream=True)).status == 200
        release.set()
        assert raw.read_until(b"0\r\n\r\n").endswith(b"0\r\n\r\n")
    for _ in range(3):
        assert lectr.call(body=asking(stream=True), key="one-stream").status == 200


def test_a_body_that_stands_still_is_given_up(lectr: Lectr, start_lectr: object) -> None:
    feature = uuid.uuid4().hex
    with start_lectr(client_body_timeout_s=0.3) as short, Raw(short.port) as raw:  # type: ignore[operator]
        request = short.raw("/v1/chat/completions", asking(), {"x-lectr-feature": feature})
        said = raw.send(request[:-5]).read_until(b"}}")
        assert said.startswith(b"HTTP/1.1 408")
        assert short.rows(1, feature=feature)[0]["error_source"] == "client"


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: -1",
        b"content-length: 5, 5",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
    ],
)
def test_a_body_framed_in_two_ways_reaches_nobody(lectr: Lectr, provider: Provider, framing: bytes) -> None:
    headers = mark("framing", framing.hex())
    request = lectr.raw("/v1/chat/completions", b"{}", headers).replace(b"content-length: 2", framing)
    smuggled = lectr.raw("/v1/files", b"", {"x-smuggled": headers["x-mark"]}, method="GET")
    with Raw(lectr.port) as raw:
        raw.socket.settimeout(1)
        try:
            said = raw.send(request + b"0\r\n\r\n" + smuggled).read_all()
        except TimeoutError:
            said = b""
        except OSError:
            said = b""
    assert b"HTTP/1.1 200" not in said
    assert not [seen for seen in provider.seen if seen.header("x-mark") == headers["x-mark"]]
    assert not [seen for seen in provider.seen if seen.header("x-smuggled") == headers["x-mark"]]


def test_a_client_that_waits_for_100_gets_it_or_the_refusal(lectr: Lectr) -> None:
    payload = b'{"model":"gpt-4o-mini","messages":[]}'
    head = lectr.raw("/v1/chat/completions", b"", {"expect": "100-continue"})
    with Raw(lectr.port) as raw:
        raw.send(head.replace(b"content-length: 0", b"content-length: %d" % len(payload)))
        assert raw.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert raw.send(payload).read_until(b"}}").startswith(b"HTTP/1.1 200")
    with Raw(lectr.port) as raw:
        raw.send(head.replace(b"content-length: 0", b"content-length: %d" % (LIMIT + 1)))
        said = raw.read_until(b"}}")
        assert said.startswith(b"HTTP/1.1 413")
        assert b"100 Continue" not in said


def test_requests_on_one_connection_do_not_mix(lectr: Lectr) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lectr.port, timeout=10)
    for target, status in (("/v1/chat/completions", 200), ("/v1/..", 400), ("/v1/messages", 200), ("/v1/models", 200)):
        fields, payload = lectr.fields(asking("claude-sonnet-4-5"))
        connection.request("GET" if target == "/v1/models" else "POST", target, payload, dict(fields))
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()
    assert call(lectr.port, "GET", "/health").status == 200
