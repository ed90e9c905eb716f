"""`make run` and `make setup`: the first command that anybody types."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.deploy.running import ROOT, free_port, lectr_environment

TOOLS = ("make", "sh", "cat", "touch", "chmod", "mkdir", "awk")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what `make setup` reads, and a PATH folder `bin` with no uv and no Python."""
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml", ".python-version"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def make(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(clone / "bin"), "CALLS": str(clone / "calls")}
    return subprocess.run(["make", *words], cwd=clone, env=environment, capture_output=True, text=True, timeout=60)


def test_an_old_python_is_refused_with_what_to_install(clone: Path) -> None:
    script(clone / "bin" / "python3", "exit 1")
    made = make(clone, "setup")
    assert made.returncode != 0
    assert "Python 3.11 or newer" in made.stderr
    assert "apt-get install python3" in made.stderr
    assert not (clone / ".venv").exists()


def test_a_missing_venv_module_is_named_with_its_package(clone: Path) -> None:
    script(clone / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    made = make(clone, "setup")
    assert made.returncode != 0
    assert "apt-get install python3-venv" in made.stderr


def test_uv_is_used_where_it_is_there(clone: Path) -> None:
    """A stand-in for uv that writes down its calls and lays the one file that they leave."""
    python = (
        f'mkdir -p .venv/bin && printf "#!/bin/sh\\necho {clone}\\n" > .venv/bin/python && chmod +x .venv/bin/python'
    )
    script(clone / "bin" / "uv", f'echo "$@" >> $CALLS; test "$1" != venv || {{ {python}; }}')
    script(clone / "bin" / "python3", "exit 1")
    made = make(clone, "setup")
    assert made.returncode == 0, made.stderr
    calls = (clone / "calls").read_text().splitlines()
    assert calls[0].startswith("venv ")
    assert calls[1] == (
        "pip install --quiet --python .venv/bin/python --only-binary :all: --require-hashes -r requirements.txt"
    )

    assert "Nothing to be done" in make(clone, "setup").stdout
    time.sleep(0.05)  # a file's time moves in steps of some milliseconds
    os.utime(clone / "requirements.txt")
    make(clone, "setup")
    assert len((clone / "calls").read_text().splitlines()) == 3


def test_lectr_starts_from_any_folder(tmp_path: Path) -> None:
    shown = subprocess.run(
        [ROOT / ".venv/bin/lectr", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Usage: lectr ")


def test_make_run_prints_all_that_one_needs(tmp_path: Path) -> None:
    port = free_port()
    environment = lectr_environment(tmp_path / "data", port, upstream_port=9)
    del environment["LECTR_ADMIN_TOKEN"]
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        # A group of its own, because Ctrl-C reaches make and Lectr alike.
        process = subprocess.Popen(
            ["make", "run"], cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                break
            time.sleep(0.1)
        time.sleep(0.5)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(40)
    shown = printed.read_text()
    assert f"http://127.0.0.1:{port}" in shown, shown
    assert re.search(r"lc_key_[A-Za-z0-9]{32}", shown), shown
    assert "sign" in shown.lower(), shown
    assert f"curl http://127.0.0.1:{port}/v1/chat/completions" in shown, shown
    assert (tmp_path / "data" / "admin-token").stat().st_mode & 0o777 == 0o600
