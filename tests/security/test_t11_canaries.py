"""Threats 11, 12, 37, 38 and 41: thirty secrets go through a real process; none is found anywhere afterwards."""

import base64
import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from app.demo.serving import base_urls
from tests import canaries
from tests.edge.asking import asking
from tests.edge.provider import Call, Provider, running_provider

PREFIXES = canaries.PREFIXES
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5", "groq": "llama-3.3-70b-versatile",
          "gemini": "gemini-2.5-flash", "azure": "gpt-4o"}  # fmt: skip


def canary(name: str, number: int = 0) -> str:
    return f"Canary{name.title()}{number:02d}" + base64.b32encode(
        f"{name}{number}of the sweep".encode()
    ).decode().strip("=")


KEYS = canaries.PROCESS
BOX = {name: PREFIXES[name] + canary(f"box{name}") for name in PREFIXES}
PROMPT, ANSWER, COOKIE = canary("prompt"), canary("answer"), canary("cookie")
PASSWORD, ADMIN, SECRET, QUERY = canary("password"), canary("admin"), canary("secret"), canary("query")
CANARIES = [*(key for keys in KEYS.values() for key in keys), *BOX.values(), PROMPT, COOKIE, PASSWORD, SECRET, QUERY]
"""Never anywhere. ANSWER goes back to its caller, ADMIN is what its holder sends: both are swept on the disk only."""


PATHS = [f"/v1/{path}" for path in ("chat/completions", "files", "messages", f"messages?key={QUERY}", f"a?q={QUERY}")]


def shapes(secret: str) -> set[bytes]:
    raw = secret.encode()
    return {raw, base64.b64encode(raw).rstrip(b"=")[:-2], quote(secret).encode(), raw[:20], raw[-20:]}


def found(data: bytes, secrets: list[str]) -> list[str]:
    """The secrets that show in these bytes, in any shape."""
    return [secret for secret in secrets if any(shape in data for shape in shapes(secret))]


def test_thirty_canaries_and_each_shape_would_be_seen() -> None:
    assert len({*CANARIES, ANSWER, ADMIN}) >= 30
    for secret in CANARIES:
        for data in (secret, secret[:20], secret[-20:], base64.b64encode(f"{secret}xyz".encode()).decode()):
            assert secret in found(b"before " + data.encode() + b" after", CANARIES)


class Process:
    """A Lectr of its own, its folder and everything it said."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.folder, self.provider = folder, provider
        urls = base_urls(provider.address)
        # umask 0 and a folder for all: what is private must be so by Lectr's own doing.
        environment = {
            "PATH": os.environ["PATH"], "LECTR_DATA_DIR": str(folder / "data"), "LECTR_ADMIN_TOKEN": ADMIN,
            "LECTR_ADMIN_PASSWORD": PASSWORD, "LECTR_SECRET": SECRET, "LECTR_ALLOW_PRIVATE_UPSTREAMS": "1",
            "LECTR_AZURE_ENDPOINT": urls["azure"], "AZURE_OPENAI_API_KEY": BOX["azure"],
            **{f"LECTR_{name.upper()}_BASE_URL": url for name, url in urls.items() if name != "azure"},
            **{f"{name.upper()}_API_KEY": key for name, key in BOX.items() if name != "azure"},
        }  # fmt: skip
        made = self.lectr("keys", "create", "sweep", environment=environment)
        self.key = made.split()[-1]
        self.out, self.err = (folder / "stdout").open("wb"), (folder / "stderr").open("wb")
        command = [sys.executable, "-m", "app", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, env=environment, stdout=self.out, stderr=self.err, umask=0)
        self.url = self._url()

    def lectr(self, *words: str, environment: dict[str, str]) -> str:
        command = [sys.executable, "-m", "app", *words]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, umask=0)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def _url(self) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = re.search(r"http://127\.0\.0\.1:\d+", (self.folder / "stdout").read_text())
            if said:
                with contextlib.suppress(httpx.ConnectError):
                    httpx.get(f"{said[0]}/health")
                    return said[0]
            time.sleep(0.05)
        raise AssertionError((self.folder / "stderr").read_text())

    def files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.out.close()
        self.err.close()


async def echoing(call: Call) -> None:
    """A provider that says the caller's own secrets back: in body, header and error, and as the names of things."""
    sent = call.seen.header("x-play-status") or "200"
    secret = call.seen.header("authorization") or call.seen.header("x-api-key") or call.seen.header("api-key") or ""
    secret = secret.removeprefix("Bearer ")
    document = {
        "model": secret,
        "service_tier": secret,
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, secret: 1, "service_tier": secret, "model": secret[:20]},
    }
    if sent != "200":
        document = {"error": {"message": f"bad key {secret}", "code": secret, "type": secret[-20:]}}
    fields = (("content-type", "application/json"), ("x-request-id", secret), ("set-cookie", secret))
    await call.whole(int(sent), json.dumps(document).encode(), *fields)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with running_provider() as provider:
        process = Process(tmp_path_factory.mktemp("canaries"), provider)
        try:
            yield process
        finally:
            process.stop()


def send(running: Process) -> list[bytes]:
    """Requests of all kinds with every canary; gives the answers that must hold none."""
    provider, answers = running.provider, []

    async def silent(call: Call) -> None:
        call.reset()

    plays = [provider.plays_as(silent), {}]
    with httpx.Client(base_url=running.url, timeout=20) as client:
        for name, keys in KEYS.items():
            for number, key in enumerate(keys):
                headers = {"x-lectr-key": running.key, "cookie": f"c={COOKIE}", "x-lectr-provider": name}
                headers |= {"authorization": f"Bearer {key}"} if number % 2 else {"x-api-key": key}
                body = asking(MODELS[name]) | {"messages": [{"role": "user", "content": PROMPT}]}
                for play in plays:
                    answers += [client.post(path, json=body, headers=headers | play).content for path in PATHS]
                answers.append(client.post("/v1/chat/completions", content=PROMPT, headers=headers).content)
                answers.append(
                    client.post("/v1/chat/completions", json=body, headers=headers | {"x-lectr-key": key}).content
                )
                answers.append(
                    client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}).content
                )
                for status in ("200", "401"):
                    echo = headers | provider.plays_as(echoing) | {"x-play-status": status}
                    for path in ("chat/completions", "messages", "responses", "embeddings", "files"):
                        client.post(f"/v1/{path}", json=body, headers=echo)
                # A caller who puts its key into the wrong field.
                misplaced = {"model": key, "messages": []}
                client.post("/v1/chat/completions", json=misplaced, headers=headers | {"x-lectr-feature": key})
            boxed = {"authorization": f"Bearer {running.key}", "x-lectr-provider": name}
            client.post("/v1/chat/completions", json=body, headers=boxed | provider.plays_as(echoing))
            # The box's own key, which the caller must never see either.
            answers.append(
                client.post(
                    "/v1/chat/completions",
                    json=asking(MODELS[name]),
                    headers={"authorization": f"Bearer {running.key}", "x-lectr-provider": name},
                ).content
            )
        answers += [
            client.get(f"/{path}", headers={"authorization": f"Bearer {QUERY}"}).content
            for path in ("api/requests", "x?" + QUERY)
        ]
        answers.append(client.post("/sign-in", data={"name": "admin", "password": PASSWORD}).content)
    return answers


def pages(running: Process) -> Iterator[bytes]:
    """Every page and API answer, signed in."""
    with httpx.Client(base_url=running.url, timeout=20, headers={"accept": "text/html"}) as client:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/sign-in").text)
        assert token is not None
        form = {"name": "admin", "password": PASSWORD, "csrf": token[1]}
        signed_in = client.post("/sign-in", data=form, headers={"origin": running.url})
        assert signed_in.status_code == 303
        for path in ("/", "/requests", "/models", "/recommendations", "/detect", "/features", "/settings", "/health"):
            answer = client.get(path)
            assert answer.status_code == 200
            yield answer.content
    with httpx.Client(base_url=running.url, timeout=20, headers={"authorization": f"Bearer {ADMIN}"}) as client:
        rows = client.get("/api/requests", params={"limit": 1000})
        yield rows.content
        for row in rows.json()["requests"][:20]:
            yield client.get(f"/api/requests/{row['id']}").content
        for path in (
            "requests?format=csv",
            "requests?format=ndjson",
            "usage?by=key",
            "models",
            "overrides",
            "self-check",
        ):
            yield client.get(f"/api/{path}").content


def test_t11_no_canary_is_found_anywhere(running: Process) -> None:
    answers = send(running)
    assert [secret for answer in answers for secret in found(answer, CANARIES)] == []
    shown = list(pages(running))
    assert len(shown) > 20
    assert any(b'"response_model":"[key]"' in page for page in shown)
    assert [secret for page in shown for secret in found(page, [*CANARIES, ANSWER, ADMIN])] == []
    assert [seen for seen in running.provider.seen if seen.header("cookie")] == []
    for moment in ("running", "stopped"):
        if moment == "stopped":
            running.stop()
        swept = list(running.files())
        assert {"stdout", "stderr", "lectr.db"} <= {path.name for path in swept}
        for path in swept:
            assert found(path.read_bytes(), [*CANARIES, ANSWER, ADMIN, running.key]) == [], (moment, path.name)
    assert running.process.returncode == 0


def test_t41_every_line_of_the_log_is_json_and_says_no_query(running: Process) -> None:
    lines = (running.folder / "stderr").read_text().splitlines()
    assert all(json.loads(line)["level"] for line in lines)
    assert not any("?" in json.loads(line)["message"] for line in lines)


def test_t37_everything_on_the_disk_is_its_owners_alone(running: Process) -> None:
    data = running.folder / "data"
    modes = {str(path.relative_to(data.parent)): stat.S_IMODE(path.stat().st_mode) for path in (data, *data.rglob("*"))}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    assert len(modes) > 3


def test_t12_a_crash_leaves_no_core(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_provider() as provider:
        process = Process(tmp_path_factory.mktemp("core"), provider)
        limits = Path(f"/proc/{process.process.pid}/limits").read_text()
        core = re.search(r"Max core file size\s+(\d+)", limits)
        assert core is not None
        assert core[1] == "0"
        process.process.send_signal(signal.SIGKILL)
        process.process.wait(10)
        process.stop()


def test_t38_the_swept_process_has_no_children(running: Process) -> None:
    """What a child inherits, it can show. Migrations run in one, before the server serves."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    assert not children.exists() or children.read_text().split() == []
