"""Certificates for tests, made with openssl: one authority of our own, and leaves that are right or wrong."""

import datetime
import subprocess
from pathlib import Path


class Certificates:
    """Makes keys and certificates in `folder`."""

    def __init__(self, openssl: str, folder: Path) -> None:
        self._openssl = openssl
        self._folder = folder
        self.authority = self._self_signed("authority", "/CN=Test authority")

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([self._openssl, *arguments], cwd=self._folder, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def _self_signed(self, name: str, subject: str, *more: str) -> Path:
        made = self._folder / f"{name}.pem"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
        self._run("req", "-x509", *key, "-out", made.name, "-subj", subject, "-days", "2", *more)
        return made

    def self_signed(self, host: str) -> tuple[Path, Path]:
        made = self._self_signed("alone", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
        return made, made.with_suffix(".key")

    def leaf(self, name: str, host: str, *, expired: bool = False) -> tuple[Path, Path]:
        """Certificate and key of `host`, signed by the authority; `expired` yesterday."""
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
        self._run("req", *key, "-out", f"{name}.csr", "-subj", f"/CN={host}")
        (self._folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
        (self._folder / "index.txt").write_text("")
        (self._folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\ncertificate=authority.pem\n"
            "private_key=authority.key\ndefault_md=sha256\npolicy=any\nrand_serial=yes\nemail_in_dn=no\n"
            "[any]\ncommonName=supplied\n"
        )
        today = datetime.datetime.now(datetime.UTC)
        begins, ends = today - datetime.timedelta(days=3), today + datetime.timedelta(days=-1 if expired else 2)
        dates = ("-startdate", f"{begins:%Y%m%d%H%M%SZ}", "-enddate", f"{ends:%Y%m%d%H%M%SZ}")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
        self._run("ca", "-config", "ca.cnf", "-batch", "-notext", *files, *dates)
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"
