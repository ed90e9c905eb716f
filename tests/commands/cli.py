"""The command line as a person uses it: `python -m app` in a process of its own, with a data folder of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from app.commands.cli import lectr
from tests.api.serving import TOKEN, settings_for, wait_until

ROOT = Path(__file__).resolve().parents[2]
_URL = re.compile(r"is at (http://127\.0\.0\.1:\d+)")
_UPSTREAMS = {
    "LECTR_OPENAI_BASE_URL": "openai_base_url",
    "LECTR_ANTHROPIC_BASE_URL": "anthropic_base_url",
    "LECTR_GROQ_BASE_URL": "groq_base_url",
    "LECTR_GEMINI_BASE_URL": "gemini_base_url",
    "LECTR_AZURE_ENDPOINT": "azure_endpoint",
}
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY", "AZURE_OPENAI_API_KEY")
BOX_KEYS = dict.fromkeys(_KEYS, "any")


class Server(msgspec.Struct):
    """A running `lectr serve` or `demo`: where it is and what it said at its start."""

    url: str
    words: str
    process: Any

    def admin(self, path: str, method: str = "GET", **sent: Any) -> Any:
        answer = httpx.request(
            method, self.url + path, headers={"authorization": f"Bearer {TOKEN}"}, timeout=20, **sent
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def row(self, answer: httpx.Response) -> dict[str, Any]:
        """The row of an answer; it may take a second to be there."""
        [row] = self.rows(1, id=answer.headers["x-lectr-request-id"])
        return row

    def rows(self, at_least: int, *, id: str | None = None, **filters: str) -> list[dict[str, Any]]:
        """The rows that match, as soon as there are as many as this."""

        def found() -> list[dict[str, Any]]:
            listed = self.admin("/api/requests", params=filters)["requests"]
            return [row for row in listed if id in (None, row["id"])]

        wait_until(lambda: len(found()) >= at_least)
        return found()

    def ask(self, key: str, model: str = "gpt-4o-mini", **headers: str) -> httpx.Response:
        """One small request with this Lectr key."""
        sent = {"x-lectr-key": key, "authorization": "Bearer any", **headers}
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=sent, timeout=20)


class Done(msgspec.Struct):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def sentence(done: Done) -> str:
    """What a command says that ended with exit code 1: one sentence, no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("lectr: "), done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


class Box:
    """One machine: a data folder and an environment, nothing of the environment the tests run in."""

    def __init__(self, folder: Path, upstream: str = "http://127.0.0.1:9", **environment: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        settings = settings_for(self.data, upstream)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        self.environment = {
            **kept,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LECTR_DATA_DIR": str(self.data),
            "LECTR_ADMIN_TOKEN": TOKEN,
            "LECTR_ALLOW_PRIVATE_UPSTREAMS": "1",
            "PORT": "0",
            **{variable: getattr(settings, field) for variable, field in _UPSTREAMS.items()},
            **environment,
        }

    def run(self, *words: str, typed: str = "", **environment: str) -> Done:
        """A command and what it answered, in this process: a start of Python costs a second each time."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(ROOT / "app" / "__main__.py"), *words])
            patch.chdir(ROOT)
            for variable in set(os.environ) - set(self.environment):
                patch.delenv(variable)
            result = CliRunner().invoke(lectr, words, input=typed, env=self.environment | environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def start(self, *words: str, root: str = str(ROOT), **environment: str) -> Done:
        """The same in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *words],
            cwd=root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **more: str) -> str:
        """What a command that succeeds prints."""
        done = self.run(*words, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str, **more: str) -> str:
        """The one sentence of a command that fails."""
        return sentence(self.run(*words, **more))

    def key(self, name: str, *options: str) -> str:
        """A new key."""
        return self.ok("keys", "create", name, *options).splitlines()[-1]

    @contextmanager
    def serve(self, *words: str, within_s: float = 30.0, **environment: str) -> Iterator[Server]:
        """`lectr serve` (or the words given) until the block ends."""
        with tempfile.TemporaryFile("w+", dir=self.folder) as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", *(words or ("serve",))],
                cwd=ROOT,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            try:
                yield Server(*_started(process, said, within_s), process)
            finally:
                end(process)


def _started(process: "subprocess.Popen[bytes]", said: Any, within_s: float) -> tuple[str, str]:
    def words() -> str:
        return os.pread(said.fileno(), 100_000, 0).decode()

    wait_until(lambda: bool(_URL.search(words())) or process.poll() is not None, within_s=within_s)
    found = _URL.search(words())
    assert found is not None, words()

    def answers() -> bool:
        assert process.poll() is None, words()
        try:
            return httpx.get(f"{found[1]}/health").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, within_s=within_s)
    return found[1], words()


def end(process: "subprocess.Popen[bytes]", sign: int = signal.SIGTERM, within_s: float = 15) -> int:
    """End a process of ours; its exit code."""
    if process.poll() is None:
        process.send_signal(sign)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise
    return process.returncode


def seconds_until(holds: Any, within_s: float = 5.0) -> float:
    """How long it takes until it holds."""
    began = time.monotonic()
    wait_until(holds, within_s=within_s)
    return time.monotonic() - began
