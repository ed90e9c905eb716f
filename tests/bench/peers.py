"""The peers Lectr is measured beside: installed into a folder of their own, started, and ended by process id."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.measure import PROVIDER_KEY, TARGET_CORE, Target, cpu_ns
from tests.conftest import find_tool
from tests.deploy.running import ROOT, free_port, port_is_open, stop

BENCH = ROOT / ".bench"
LITELLM = "litellm[proxy]==1.106.2"
NAIVE = ("litestar>=2.25,<3", "httpx", "uvicorn", "httptools", "uvloop")
# With newer ones of these two every stream of this gateway is a 500.
PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"hono": "4.6.20", "@hono/node-server": "1.13.8"},
}
START_S = 120.0

_LITELLM_CONFIG = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "http://127.0.0.1:{port}/v1", api_key: {key}}}
general_settings: {{master_key: {key}}}
"""


class Started:
    """A running peer: its port, the id of its first process, and the seconds from start to its first answer."""

    def __init__(self, name: str, port: int, pid: int, started_in_s: float) -> None:
        self.name = name
        self.port = port
        self.pid = pid
        self.started_in_s = started_in_s

    def target(self, *headers: tuple[str, str]) -> Target:
        """It as something to measure."""
        return Target(self.name, self.port, self.pid, headers)


def install(bench: Path = BENCH) -> None:
    """Put all peers into `bench`, once each. Raises CalledProcessError where a registry does not answer."""
    bench.mkdir(exist_ok=True)
    for name, packages in (("litellm", (LITELLM,)), ("naive", NAIVE)):
        if not (bench / name / "installed").exists():
            print(f"installing {name} into {bench.name}/", flush=True)
            uv = str(Path(sys.executable).with_name("uv"))
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", version, str(bench / name)], check=True)
            python = str(bench / name / "bin" / "python")
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
            (bench / name / "installed").touch()
    portkey = bench / "portkey"
    if not (portkey / "installed").exists():
        print(f"installing portkey into {bench.name}/", flush=True)
        portkey.mkdir(exist_ok=True)
        (portkey / "package.json").write_text(json.dumps(PORTKEY))
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(npm, cwd=portkey, check=True)
        (portkey / "installed").touch()


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], port: int, ready: str, log: Path, *, cwd: Path = ROOT, **environment: str
) -> Iterator[Started]:
    """A peer from its start until `ready` answers, to its end. Refuses a port that is in use."""
    if port_is_open(port):
        raise RuntimeError(f"port {port} is in use")
    log.parent.mkdir(parents=True, exist_ok=True)
    kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", TARGET_CORE, *command],
            cwd=cwd,
            env={**kept, "HOME": str(log.parent), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}{ready}", log)
        yield Started(name, port, process.pid, time.monotonic() - began)
    finally:
        stop(process, within_s=10)


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        time.sleep(0.01)
    raise RuntimeError(f"no answer within {START_S:.0f} s:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def running_litellm(folder: Path, upstream_port: int) -> Iterator[Started]:
    """LiteLLM's proxy with one model, one worker, no database."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "litellm.yaml"
    config.write_text(_LITELLM_CONFIG.format(port=upstream_port, key=PROVIDER_KEY))
    program = str(BENCH / "litellm" / "bin" / "litellm")
    command = [program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--telemetry", "False"]
    # Its own copy of the price list: the one in its repository is not to be had from here.
    log = folder / "litellm.log"
    with running("litellm", command, port, "/health/liveliness", log, LITELLM_LOCAL_MODEL_COST_MAP="True") as started:
        time.sleep(5)
        yield started


@contextlib.contextmanager
def running_portkey(folder: Path) -> Iterator[Started]:
    """Portkey's gateway on Node; which provider it calls stands in the request's headers."""
    port = free_port()
    node = find_tool("node")
    assert node is not None
    command = [node, "node_modules/@portkey-ai/gateway/build/start-server.js", f"--port={port}", "--headless"]
    with running("portkey", command, port, "/", folder / "portkey.log", cwd=BENCH / "portkey") as started:
        yield started


@contextlib.contextmanager
def running_naive(folder: Path, upstream_port: int) -> Iterator[Started]:
    """The naive proxy of naive.py."""
    port = free_port()
    python = str(BENCH / "naive" / "bin" / "python")
    command = [python, str(Path(__file__).with_name("naive.py")), str(port), f"http://127.0.0.1:{upstream_port}"]
    with running("naive", command, port, "/health", folder / "naive.log") as started:
        yield started


def portkey_headers(upstream_port: int) -> tuple[tuple[str, str], ...]:
    """What Portkey has to be told with each request."""
    return (("x-portkey-provider", "openai"), ("x-portkey-custom-host", f"http://127.0.0.1:{upstream_port}/v1"))


def calm_down(pid: int, within_s: float = 60) -> None:
    """Wait until a target has dealt with what it was left with: it shares its core with the next one."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        before = cpu_ns(pid)
        time.sleep(0.2)
        if cpu_ns(pid) - before < 0.2e9 * 0.05:
            return
