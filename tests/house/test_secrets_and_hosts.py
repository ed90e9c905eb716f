"""What must not stand in a tracked file: package registries' hosts, paths of a developer's machine, real keys."""

import re
from pathlib import Path

import pytest

from tests.house.files import ROOT, tracked_files

# Written in parts, so that this file does not hold what it looks for.
FORBIDDEN_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.np" + "mjs.org",
    "registry.yarn" + "pkg.com",
    "deb.deb" + "ian.org",
    "proxy.gol" + "ang.org",
    "crates" + ".io",
]
FORBIDDEN_PATHS = ["/wo" + "rk/", "/r" + "oot/", "/ho" + "me/user", "/fa" + "rm/", "/Us" + "ers/"]
KEY_SHAPES = re.compile(r"\b(?:sk-(?:proj|ant-api03)-[A-Za-z0-9_-]{60,}|gsk_[A-Za-z0-9]{50,}|AIza[A-Za-z0-9_-]{35}\b)")
TEXT_SUFFIXES_SKIPPED = {".png", ".gz", ".ico", ".woff2", ".jpg"}


def texts() -> list[tuple[Path, str]]:
    return [
        (path, path.read_text(encoding="utf-8", errors="replace"))
        for path in tracked_files()
        if path.suffix not in TEXT_SUFFIXES_SKIPPED
    ]


@pytest.mark.parametrize("forbidden", FORBIDDEN_HOSTS + FORBIDDEN_PATHS)
def test_no_file_names(forbidden: str) -> None:
    found = [str(path.relative_to(ROOT)) for path, text in texts() if forbidden in text]
    assert found == [], f"{forbidden} must not be committed"


def test_no_file_holds_what_looks_like_a_real_key() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0][:12]}…" for path, text in texts() for match in KEY_SHAPES.finditer(text)
    ]
    assert found == []


def test_a_real_key_would_be_seen() -> None:
    assert KEY_SHAPES.search("gsk_" + "a1" * 26)
