"""Threat 34 from end to end: a provider whose certificate does not hold gets no byte, and the caller is told why."""

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.upstream.egress import make_tls_context
from app.upstream.transport import PooledTransport
from tests import canaries
from tests.edge.asking import asking
from tests.running import Lectr, data_settings, running
from tests.upstream.certificates import Certificates

HOST = "provider.test"


class TlsServer:
    """Accepts TLS connections with one certificate and keeps what was said after the handshake."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = context
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    connection.settimeout(5)
                    self.heard.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            except OSError:
                plain.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing")
    return Certificates(openssl, tmp_path_factory.mktemp("certificates"))


def serving(certificates: Certificates, kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = {
        "right": lambda: certificates.leaf("right", HOST),
        "old protocols": lambda: certificates.leaf("old", HOST),
        "expired": lambda: certificates.leaf("expired", HOST, expired=True),
        "another name": lambda: certificates.leaf("other", "other.test"),
        "self-signed": lambda: certificates.self_signed(HOST),
        "unknown authority": lambda: certificates.self_signed(f"unknown.{HOST}"),
    }[kind]()
    context.load_cert_chain(*pair)
    if kind == "old protocols":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


async def _resolve(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def against(certificates: Certificates, server: TlsServer, folder: Path) -> "Iterator[Lectr]":
    trusted = make_tls_context()
    trusted.load_verify_locations(certificates.authority)
    transport = PooledTransport(allow_private=True, tls=trusted, resolver=_resolve)
    settings = data_settings(folder, openai_base_url=f"https://{HOST}:{server.port}")
    with running(settings, transport=transport) as lectr:
        yield lectr


WORDS = {
    "expired": "certificate has expired",
    "another name": "certificate is not valid for 'provider.test'",
    "self-signed": "self-signed certificate",
    "unknown authority": "certificate",
    "old protocols": "TLS 1.2",
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", WORDS)
def test_t34_a_bad_certificate_is_503_in_clear_words_and_gets_no_byte(
    certificates: Certificates, tmp_path: Path, kind: str
) -> None:
    server = TlsServer(serving(certificates, kind))
    for lectr in against(certificates, server, tmp_path):
        answer = lectr.call(body=asking())
        assert (answer.status, answer.code) == (503, "provider_unreachable")
        said = answer.json["error"]["message"].lower()
        assert WORDS[kind].lower() in said.replace("hostname mismatch, ", "")
        row = lectr.row(answer.id)
        assert (row["outcome"], row["cost_picousd"]) == ("unreachable", 0)
    server.close()
    assert server.heard == []


def test_a_certificate_that_holds_is_served(certificates: Certificates, tmp_path: Path) -> None:
    server = TlsServer(serving(certificates, "right"))
    for lectr in against(certificates, server, tmp_path):
        assert lectr.call(body=asking()).status == 200
    server.close()
    assert len(server.heard) == 1
    assert f"Bearer {canaries.CALLER}".encode() in server.heard[0]
