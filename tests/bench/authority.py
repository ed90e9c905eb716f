"""A certificate authority for one run, and a certificate of it for localhost."""

import subprocess
from pathlib import Path

import msgspec


class Certificate(msgspec.Struct, frozen=True):
    """Paths of PEM files: who signed, what a server shows, and its key."""

    authority: Path
    chain: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Made with openssl, valid for two days, for `localhost` and 127.0.0.1. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    _openssl(folder, f"req -x509 {curve} -keyout ca.key -out ca.pem -subj /CN=bench-authority")
    _openssl(folder, f"req {curve.replace('-days 2', '')} -keyout server.key -out server.csr -subj /CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl(folder, "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out server.pem")
    return Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")


def _openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
