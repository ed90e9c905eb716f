"""What is installed is pinned with hashes, agrees with pyproject.toml, and has a licence that we list."""

import json
import re
import tomllib

import pytest

from tests.house.files import ROOT

ALLOWED_LICENCES = {
    "MIT", "MIT-0", "0BSD", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0",
    "MIT AND PSF-2.0", "Apache-2.0 AND MIT", "MIT OR Apache-2.0",
}  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Package -> pinned version. Fails where a line is neither a pin, a hash, an option we know nor a comment."""
    found = {}
    for line in (ROOT / file).read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", line):
            found[canonical(pin[1])] = pin[2]
        else:
            assert re.match(r"\s+--hash=sha256:[0-9a-f]{64}( \\)?$|\s*#|$", line), f"{file}: {line!r}"
    return found


def asked(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_each_pin_has_hashes(file: str) -> None:
    text = (ROOT / file).read_text()
    for block in re.split(r"\n(?=[A-Za-z])", text):
        if "==" in block.split("\n")[0]:
            assert "--hash=sha256:" in block, block.split("\n")[0]


def test_what_pyproject_asks_for_is_pinned() -> None:
    assert asked(PROJECT["dependencies"]) <= pins("requirements.txt").keys()
    assert asked(PROJECT["optional-dependencies"]["dev"]) <= pins("requirements-dev.txt").keys()


def test_checks_run_on_what_runs() -> None:
    run, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: dev.get(name) for name in run} == run


def test_a_check_is_not_needed_to_run() -> None:
    dev_only = {"pytest", "mypy", "ruff", "genai-prices", "playwright", "openai", "pyright", "uv"}
    assert dev_only & pins("requirements.txt").keys() == set()


def third_party() -> dict[str, str]:
    """Package -> licence, from THIRD_PARTY.md's tables."""
    rows = re.findall(
        r"^\| ([a-z0-9.-]+) \| ([^|,]+)(?:,[^|]*)? \|", (ROOT / "THIRD_PARTY.md").read_text(), re.MULTILINE
    )
    return {name: licence.strip() for name, licence in rows if name != "package" and name != "source"}


def test_what_runs_is_listed_with_its_licence() -> None:
    listed = third_party()
    assert pins("requirements.txt").keys() <= listed.keys()
    assert {name: licence for name, licence in listed.items() if licence not in ALLOWED_LICENCES} == {}


def test_what_is_vendored_is_listed_with_its_licence() -> None:
    listed = third_party()
    lock = json.loads((ROOT / "app/static/vendor.lock.json").read_text())
    assert {entry["package"]: entry["licence"] for entry in lock.values()}.items() <= listed.items()
    assert "genai-prices" in listed


def test_the_python_that_hosts_take_is_one_that_we_allow() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    assert PROJECT["requires-python"] == f">={version}"


def test_there_is_one_lock_only() -> None:
    """Heroku's buildpack fails on two."""
    assert [name for name in ("uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile") if (ROOT / name).exists()] == []
