"""Threat 34, faults 2 and 3: no byte of a request before a certificate holds, and no wait beyond the connect limit."""

import asyncio
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from app.upstream.egress import make_tls_context
from app.upstream.transport import PooledTransport
from tests.upstream.scripted import always, fetch, provider

pytestmark = pytest.mark.anyio


def certificate(folder: Path, *options: str) -> ssl.SSLContext:
    """A server with a certificate signed by nobody."""
    names = [str(folder / "key.pem"), str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = subprocess.run([*command, "-keyout", names[0], "-out", names[1], *options], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"openssl made no certificate: {made.stderr[-200:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(names[1], names[0])
    return context


@pytest.mark.parametrize("subject", ["/CN=127.0.0.1", "/CN=api.openai.com"])
async def test_t34_no_request_byte_goes_to_a_certificate_nobody_vouches_for(tmp_path: Path, subject: str) -> None:
    server = certificate(tmp_path, "-days", "2", "-subj", subject, "-addext", "subjectAltName=IP:127.0.0.1")
    async with provider(always(), tls=server) as upstream:
        transport = PooledTransport(allow_private=True, tls=make_tls_context())
        with pytest.raises(httpx.ConnectError):
            await fetch(transport, upstream.url)
        await transport.aclose()
        assert all(peer.received == b"" for peer in upstream.peers)


async def test_the_context_verifies_names_and_has_a_floor() -> None:
    context = make_tls_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_f02_f03_a_name_that_does_not_resolve_ends_at_the_connect_limit() -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(30)
        return []

    async def nobody(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    for resolver, within in ((never, 1.0), (nobody, 0.2)):
        transport = PooledTransport(resolver=resolver)
        began = time.monotonic()
        with pytest.raises((httpx.ConnectTimeout, httpx.ConnectError)):
            await fetch(transport, "https://name.openai.azure.com", connect=0.3)
        assert time.monotonic() - began < within
        await transport.aclose()
