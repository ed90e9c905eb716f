"""Real processes for tests and measurements: Lectr, nginx and a provider that answers slowly on request."""

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADMIN_TOKEN = "token-of-the-deploy-tests"
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(process: "subprocess.Popen[bytes]", within_s: float = 30) -> int:
    """Ends a process that we started, by its id; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
    return process.returncode


def lectr_environment(data_dir: Path, port: int, upstream_port: int, **more: str) -> dict[str, str]:
    """The environment of a Lectr on `port` whose OpenAI is our own upstream; nothing of the caller's settings."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return kept | {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "LECTR_DATA_DIR": str(data_dir),
        "LECTR_ADMIN_TOKEN": ADMIN_TOKEN,
        "LECTR_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}",
        "LECTR_ALLOW_PRIVATE_UPSTREAMS": "1",
        **more,
    }


class Lectr:
    """A running `lectr serve` with a key of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, environment: Mapping[str, str], log: Path):
        self.process = process
        self.port = port
        self.environment = environment
        self.log = log
        self.key = ""
        self.started_in_s = 0.0

    def create_key(self, name: str) -> str:
        made = subprocess.run(
            [sys.executable, "-m", "app", "keys", "create", name],
            cwd=ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert made.returncode == 0, made.stderr
        self.key = made.stdout.strip().splitlines()[-1]
        self.wait_until_known(self.key)
        return self.key

    def wait_until_known(self, key: str) -> None:
        """A key made by another process is live within a second."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/models", headers={"X-Lectr-Key": key})
        deadline = time.monotonic() + 3
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except urllib.error.HTTPError as refused:
                refused.close()
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def rows(self, **filters: str) -> int:
        """How many requests the ledger holds, as the admin API counts them."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        usage = self.admin(f"/api/usage?by=model&{query}")
        return int(usage["total"]["requests"])

    def admin(self, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {ADMIN_TOKEN}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


def wait_until_healthy(lectr: Lectr, within_s: float = 20) -> float:
    """Waits for /health to answer 200; returns the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        if lectr.process.poll() is not None:
            raise RuntimeError(f"lectr serve ended with {lectr.process.returncode}:\n{lectr.log.read_text()}")
        address = f"http://127.0.0.1:{lectr.port}/health"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return time.monotonic() - began
        time.sleep(0.01)
    raise RuntimeError(f"lectr serve did not answer within {within_s} s:\n{lectr.log.read_text()}")


@contextlib.contextmanager
def running_lectr(data_dir: Path, upstream_port: int, *, cores: str | None = None, **more: str) -> Iterator[Lectr]:
    """A Lectr in `data_dir`, on a free port, ended by its process id."""
    port = free_port()
    environment = lectr_environment(data_dir, port, upstream_port, **more)
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir.parent / f"lectr-{port}.log"
    pinned = ["taskset", "-c", cores] if cores else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*pinned, sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        lectr = Lectr(process, port, environment, log)
        try:
            lectr.started_in_s = wait_until_healthy(lectr)
            yield lectr
        finally:
            stop(process)


@contextlib.contextmanager
def running_nginx(nginx: str, folder: Path, http_block: str, port: int, *, cores: str | None = None) -> Iterator[int]:
    """An nginx with this `http` block, all its files in `folder`, one worker; yields the id of its master process."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    # A worker of root's nginx would else run as a user who may not write here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration.write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{\naccess_log off;\n{temporary}{http_block}\n}}\n"
    )
    if port_is_open(port):
        raise RuntimeError(f"port {port} is in use")
    pinned = ["taskset", "-c", cores] if cores else []
    # Its built-in log path is opened before the configuration is read, and belongs to root: -e names ours.
    process = subprocess.Popen(
        [*pinned, nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(f"nginx did not start:\n{(folder / 'error.log').read_text()}")
            if port_is_open(port):
                break
            time.sleep(0.02)
        yield process.pid
    finally:
        stop(process, within_s=5)


class SlowProvider(http.server.BaseHTTPRequestHandler):
    """Chat completions and Anthropic's messages; the prompt `wait N` delays the first byte by N seconds."""

    protocol_version = "HTTP/1.1"
    events = 6
    gap_s = 0.2

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        prompt = request["messages"][0]["content"]
        if prompt.startswith("wait "):
            time.sleep(float(prompt.split()[1]))
        if request.get("stream"):
            self._stream(bool(request.get("stream_options", {}).get("include_usage")))
        elif self.path.endswith("/messages"):
            text = {"type": "text", "text": f"received {len(body)}"}
            message = {"id": "m1", "type": "message", "role": "assistant", "model": request["model"], "content": [text]}
            usage = {"input_tokens": 9, "output_tokens": 5}
            self._answer({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
        else:
            message = {"role": "assistant", "content": f"received {len(body)}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            chat = {"id": "c1", "object": "chat.completion", "created": 1, "model": request["model"]}
            self._answer({**chat, "choices": [choice], "usage": USAGE})

    def _answer(self, answer: dict[str, object]) -> None:
        payload = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _stream(self, usage: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        base = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o-mini-2024-07-18"}
        for number in range(self.events):
            delta = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
            self._event(json.dumps({**base, "choices": [delta]}))
            time.sleep(self.gap_s)
        if usage:
            self._event(json.dumps({**base, "choices": [], "usage": USAGE}))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def running_provider() -> Iterator[int]:
    """The slow provider in a thread; yields its port."""
    server = QuietServer(("127.0.0.1", 0), SlowProvider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
