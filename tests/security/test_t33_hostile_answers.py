"""Threat 33: whatever bytes a provider answers with, its caller gets a true answer or an error, and there is a row."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider
from tests.running import Lectr, Raw, data_settings, running

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
BAD = {
    "two equal lengths": HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 5\r\n\r\n{}",
    "a list of lengths": HEAD + b"content-length: 2, 2\r\n\r\n{}",
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "gzip, chunked": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "xchunked": HEAD + b"transfer-encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a negative length": HEAD + b"content-length: -1\r\n\r\n{}",
    "a length with a sign": HEAD + b"content-length: +2\r\n\r\n{}",
    "a length in hexadecimal": HEAD + b"content-length: 0x2\r\n\r\n{}",
    "a length of twenty digits": HEAD + b"content-length: 99999999999999999999\r\n\r\n{}",
    "another version": b"HTTP/2 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "no header": b"<html>hello</html>",
    "another protocol": b"ICY 200 OK\r\n\r\nhello",
    "a greeting": b"220 mail.test ready\r\n",
    "status 99": b"HTTP/1.1 99 Low\r\ncontent-length: 2\r\n\r\n{}",
    "status 600": b"HTTP/1.1 600 High\r\ncontent-length: 2\r\n\r\n{}",
    "status 1000": b"HTTP/1.1 1000 Long\r\ncontent-length: 2\r\n\r\n{}",
    "status -1": b"HTTP/1.1 -1 Low\r\ncontent-length: 2\r\n\r\n{}",
    "40 interim answers": b"HTTP/1.1 100 Go\r\n\r\n" * 40 + OK,
    "endless interim answers": b"HTTP/1.1 103 Hint\r\nlink: x\r\n\r\n" * 5000,
    "an interim answer with a body": b"HTTP/1.1 100 Go\r\ncontent-length: 3\r\n\r\nabc" + OK,
    "a switch": b"HTTP/1.1 101 Switch\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nxx",
    "lines with LF alone": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "a folded line": HEAD + b"x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}",
    "a name with a space": HEAD + b"x a: b\r\ncontent-length: 2\r\n\r\n{}",
    "a space before the colon": HEAD + b"content-length : 2\r\n\r\n{}",
    "a name that is empty": HEAD + b": b\r\ncontent-length: 2\r\n\r\n{}",
    "a line without a colon": HEAD + b"nonsense\r\ncontent-length: 2\r\n\r\n{}",
    "NUL in a value": HEAD + b"x-a: b\0c\r\ncontent-length: 2\r\n\r\n{}",
    "CR in a value": HEAD + b"x-a: b\rc\r\ncontent-length: 2\r\n\r\n{}",
    "300 KB of header": HEAD + b"x: " + b"y" * 300_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    "300 KB of many fields": HEAD + b"x: y\r\n" * 60_000 + b"content-length: 2\r\n\r\n{}",
    "nothing": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nconte",
    "half a status line": b"HTTP/1.",
}
CUT = {
    "no chunk size": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "a chunk size over 64 bits": CHUNKED + b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "no line end after a chunk": CHUNKED + b"2\r\n{}xx0\r\n\r\n",
    "half a chunk": CHUNKED + b"5\r\n{}",
    "no last chunk": CHUNKED + b"2\r\n{}\r\n",
    "half a last chunk": CHUNKED + b"2\r\n{}\r\n0\r\n",
    "less than the length": HEAD + b"content-length: 9\r\n\r\n{}",
    "a length of ten megabytes": HEAD + b"content-length: 10485760\r\n\r\n{}",
    "JSON of less than its length": HEAD + b"content-type: application/json\r\ncontent-length: 9\r\n\r\n{}",
}
TRUE: dict[str, tuple[bytes, int, bytes]] = {
    "204 with a body": (b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\nhello", 204, b""),
    "204 with a length": (b"HTTP/1.1 204 No\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Same\r\ncontent-length: 5\r\netag: x\r\n\r\n", 304, b""),
    "304 with a body": (b"HTTP/1.1 304 Same\r\ncontent-length: 5\r\n\r\nhello", 304, b""),
    "205 with a body": (b"HTTP/1.1 205 Reset\r\ncontent-length: 5\r\n\r\nhello", 205, b"hello"),
    "until the end of the connection": (HEAD + b"\r\n{}", 200, b"{}"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n{}", 200, b"{}"),
    "31 interim answers": (b"HTTP/1.1 100 Go\r\n\r\n" * 31 + OK, 200, b"{}"),
    "an early hint": (b"HTTP/1.1 103 Hint\r\nlink: x\r\n\r\n" + OK, 200, b"{}"),
    "two answers": (OK + OK.replace(b"{}", b"[]"), 200, b"{}"),
    "something behind the answer": (OK + b"GARBAGE", 200, b"{}"),
    "chunk extensions": (CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", 200, b"{}"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nset-cookie: a\r\nx-lectr-cost-usd: 9\r\n\r\n", 200, b"{}"),
    "length named in Connection": (HEAD + b"connection: content-length\r\ncontent-length: 2\r\n\r\n{}", 200, b"{}"),
    "names of ours": (HEAD + b"x-lectr-request-id: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\n{}", 200, b"{}"),
}


class Speaker:
    """A server that reads a request's head and says the bytes it was given."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.says = b""
        self.slowly = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            heard = b""
            while b"\r\n\r\n" not in heard:
                more = connection.recv(65536)
                if not more:
                    return
                heard += more
            for piece in [self.says[at : at + 1] for at in range(len(self.says))] if self.slowly else [self.says]:
                connection.sendall(piece)
                if self.slowly:
                    time.sleep(0.002)


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.socket.close()


@pytest.fixture(scope="module")
def against(speaker: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    values = upstream_settings(speaker.address)
    with running(data_settings(tmp_path_factory.mktemp("against"), **values)) as lectr:
        yield lectr
        assert lectr.health()["unexpected_errors"] == 0


def row_of(lectr: Lectr, answer: Any) -> Any:
    return lectr.row(answer.id, 5.0)


@pytest.mark.parametrize("what", BAD)
def test_t33_what_is_no_answer_is_502_and_one_row(against: Lectr, speaker: Speaker, what: str) -> None:
    speaker.says, speaker.slowly = BAD[what], False
    answer = against.call(body=asking())
    assert (answer.status, answer.code) == (502, "provider_bad_response")
    row = row_of(against, answer)
    assert row["outcome"] in ("bad_response", "upstream_reset")
    assert (row["status"], row["cost_picousd"]) == (502, 0)


@pytest.mark.parametrize("what", CUT)
def test_t33_what_breaks_off_has_no_clean_end(against: Lectr, speaker: Speaker, what: str) -> None:
    speaker.says, speaker.slowly = CUT[what], False
    answer = against.call(body=asking())
    assert (answer.status, answer.whole) == (200, False)
    assert row_of(against, answer)["outcome"] in ("bad_response", "upstream_reset")


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("what", TRUE)
def test_t33_what_is_odd_and_true_arrives(against: Lectr, speaker: Speaker, what: str, slowly: bool) -> None:
    speaker.says, status, body = TRUE[what]
    speaker.slowly = slowly
    answer = against.call(body=asking())
    assert (answer.status, answer.body, answer.whole) == (status, body, True)
    assert answer.header("set-cookie") is None
    assert answer.header("x-lectr-cost-usd") is None
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.id)
    assert row_of(against, answer)["outcome"] == "ok"


def test_a_status_without_a_body_ends_nobodys_connection(against: Lectr, speaker: Speaker) -> None:
    """Found from outside: the length of another answer beside 204 was a fault of ours, and 304 carries it by right."""
    # It says that it closes: else the next request could meet the closing connection.
    speaker.says, speaker.slowly = b"HTTP/1.1 304 Same\r\ncontent-length: 5\r\nconnection: close\r\n\r\n", False
    with Raw(against.port) as raw:
        for _ in range(3):
            head = raw.send(against.raw("/v1/chat/completions", asking())).read_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 304")
            assert b"content-length" not in head


def test_an_answer_before_the_whole_request_was_sent_arrives(against: Lectr, speaker: Speaker) -> None:
    speaker.says = b"HTTP/1.1 413 Big\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig"
    speaker.slowly = False
    answer = against.call(body=asking(pad="x" * 20_000_000))
    # The provider may also have reset the connection before Lectr could read: then it says so.
    assert (answer.status, answer.body) == (413, b"big") or answer.code == "provider_bad_response"


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


def test_an_offer_of_http_2_costs_no_request_its_body(lectr: Lectr, provider: Provider) -> None:
    """Java's client offers it with every first request in the clear; a server may pass over it (RFC 9110, 7.8)."""
    sent = lectr.raw("/v1/chat/completions", asking(pad="h2c\r\nupgrade: h2c\r\n"), {"x-probe": "java"})
    head, _, body = sent.partition(b"\r\n\r\n")
    since = len(provider.seen)
    with Raw(lectr.port) as raw:
        for _ in range(2):
            raw.send(head + b"\r\n" + OFFER + b"\r\n" + body)
            assert raw.read_until(b'"usage"').startswith(b"HTTP/1.1 200")
    seen = provider.seen[since:]
    assert [one.body for one in seen] == [body, body]
    assert not [name for one in seen for name in one.names() if name in ("upgrade", "http2-settings", "connection")]


def test_a_websocket_is_still_told(lectr: Lectr) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    assert lectr.call("/v1/realtime", headers=headers).code == "websocket_not_supported"
