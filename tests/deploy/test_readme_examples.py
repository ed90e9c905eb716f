"""The README's examples, as they stand there, against a real Lectr: curl and each SDK."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.running import ROOT, Lectr, running_lectr, running_provider

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
CURL = next(block for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE) if "curl" in block)


@pytest.fixture(scope="module")
def lectr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    with running_provider() as port:
        upstream = f"http://127.0.0.1:{port}"
        bases = {f"LECTR_{name}_BASE_URL": upstream for name in ("ANTHROPIC", "GROQ", "GEMINI")}
        folder = tmp_path_factory.mktemp("readme") / "data"
        with running_lectr(folder, port, **bases, LECTR_AZURE_ENDPOINT=upstream) as server:
            server.create_key("readme")
            yield server


def run(command: list[str], lectr: Lectr, folder: Path) -> str:
    keys = {
        "LECTR_KEY": lectr.key,
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "GROQ_API_KEY": "gsk_test",
        "AZURE_OPENAI_API_KEY": "azure-test",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(command, env=kept | keys, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(lectr: Lectr, known: set[str]) -> dict[str, object]:
    """The one row that was not known before."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        rows = [row for row in lectr.admin("/api/requests")["requests"] if row["id"] not in known]
        if rows:
            assert len(rows) == 1
            return dict(rows[0])
        time.sleep(0.1)
    raise AssertionError("no row was written")


@pytest.mark.parametrize(
    ("example", "provider"),
    list(zip([CURL, *EXAMPLES], ["openai", "openai", "anthropic", "groq", "azure"], strict=True)),
    ids=["curl", "openai", "anthropic", "groq", "azure"],
)
def test_an_example_works_as_it_stands(
    lectr: Lectr, tmp_path: Path, require_tool: Callable[[str], str], example: str, provider: str
) -> None:
    known = {row["id"] for row in lectr.admin("/api/requests")["requests"]}
    here = example.replace("127.0.0.1:8000", f"127.0.0.1:{lectr.port}")
    assert here != example
    if example == CURL:
        require_tool("curl")
        assert '"content": "received' in run(["bash", "-c", here.replace("curl ", "curl -s --fail ")], lectr, tmp_path)
    else:
        run([sys.executable, "-c", here], lectr, tmp_path)
    row = newest(lectr, known)
    assert (row["provider"], row["status"], row["outcome"]) == (provider, 200, "ok")
    assert row["cost_usd"] is not None
