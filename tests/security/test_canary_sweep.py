"""Threat 11: the sweep of every suite's files and output (tests/conftest.py) would see each canary in each shape."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.canaries import ALL, shows, sweep


def test_there_are_thirty_canaries_and_each_is_another() -> None:
    assert len(set(ALL)) == len(ALL) >= 30


@pytest.mark.parametrize("secret", ALL)
def test_each_shape_of_a_canary_is_seen(secret: str) -> None:
    for before in ("", "a", "ab", "Bearer "):
        for shape in (secret, quote(secret, safe=""), secret[:20], secret[-20:]):
            assert shows(f"x {before}{shape} y".encode())
        assert shows(base64.b64encode(f"{before}{secret}".encode()))
        assert shows(base64.b64encode(f"{before}{secret} and more".encode()))
    assert not shows(secret[:3].encode() + b" nothing of it " + base64.b64encode(b"nothing at all"))


def test_the_sweep_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "clean").write_bytes(b"\0" * 1000)
    assert sweep(tmp_path) == []
    # Written and taken away again: the sweep of this very run would find it.
    guilty = tmp_path / "deep" / "log"
    guilty.write_bytes(b"\0\xff" + ALL[3].encode())
    assert sweep(tmp_path) == ["deep/log"]
    guilty.unlink()
