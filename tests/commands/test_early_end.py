"""SIGTERM to a Lectr that is still starting: exit code 0, as for one that serves."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_start_that_is_broken_off_is_no_failure(tmp_path: Path, share: float) -> None:
    environ = {"PATH": os.environ["PATH"], "LECTR_DATA_DIR": str(tmp_path / "data"), "PORT": "0"}
    began = time.monotonic()
    command = [sys.executable, "-m", "app", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as whole:
        assert whole.stdout is not None
        assert "Lectr is at" in whole.stdout.readline()
        took = time.monotonic() - began
        whole.terminate()
        assert whole.wait(30) == 0
    cut = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # The interpreter itself needs a moment before a program can take its signals over.
    time.sleep(max(0.25, took * share))
    cut.terminate()
    _, errors = cut.communicate(timeout=30)
    assert (cut.returncode, errors) == (0, b"")
