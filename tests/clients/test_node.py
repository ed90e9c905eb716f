"""OpenAI's SDK for Node through Lectr sees what it sees without it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Lectr, wait_until
from tests.clients.seen import cost, plain
from tests.conftest import REQUIRE_TOOLS, find_tool

HERE = Path(__file__).parent / "node"
INSTALLED = Path(__file__).resolve().parents[2] / ".cache" / "clients-node"
METERED = 7
"""Requests of `ask.mjs` that are answered with 200; two more are refused."""


def missing(why: str) -> Any:
    """A skip that says what is missing; in CI a failure."""
    if REQUIRE_TOOLS:
        pytest.fail(f"LECTR_REQUIRE_TOOLS=1 forbids this skip: {why}")
    pytest.skip(why)


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the SDK beside the script; it is installed once, below .cache."""
    program, npm = find_tool("node"), find_tool("npm")
    if program is None or npm is None:
        missing("node or npm is missing: install nodejs and npm")
        raise AssertionError
    wanted = (HERE / "package.json").read_bytes()
    done = INSTALLED / "installed.json"
    if not done.exists() or done.read_bytes() != wanted:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", INSTALLED)
        install = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        made = subprocess.run(install, cwd=INSTALLED, capture_output=True, text=True, timeout=100)
        if made.returncode:
            missing(f"npm could not install the SDK: {made.stderr[-300:]}")
        done.write_bytes(wanted)
    shutil.copy(HERE / "ask.mjs", INSTALLED)
    return program


def ask(node: str, base_url: str, **environment: str) -> Any:
    done = subprocess.run(
        [node, "ask.mjs"],
        cwd=INSTALLED,
        env={"PATH": os.environ["PATH"], "BASE_URL": base_url, "API_KEY": "sk-any", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_sdk_sees_the_same_at_its_exact_cost(lectr: Lectr, direct: str, node: str, feature: str) -> None:
    expected = ask(node, f"{direct}/openai/v1")
    seen = ask(node, f"{lectr.url}/v1", LECTR_KEY=lectr.key, FEATURE=feature)
    assert plain(seen) == plain(expected)
    assert (seen["limited"]["class"], seen["failed"]["class"]) == ("RateLimitError", "InternalServerError")
    wait_until(lambda: len(lectr.json("/api/requests", feature=feature)["requests"]) == METERED + 2)
    rows = lectr.json("/api/requests", feature=feature)["requests"]
    assert sorted(row["status"] for row in rows) == [200] * METERED + [429, 500]
    for row in rows:
        counted = {"input": row["input_tokens"] or 0, "output": row["output_tokens"] or 0}
        cached = row["cache_read_input_tokens"] or 0
        exact = cost("openai", row["request_model"], cached=cached, **counted) if row["status"] == 200 else 0
        assert row["cost_picousd"] == exact


def test_the_lectr_key_alone_is_enough(lectr: Lectr, node: str) -> None:
    assert ask(node, f"{lectr.url}/v1", API_KEY=lectr.key)["chat"]["choices"]
