"""How Lectr is measured: wrk and the provider on one core, the target and nothing else on the other.

Rates of the same code move by half between runs on a shared machine, so targets alternate (A B C, C B A) and only
ratios inside one run count, and CPU microseconds per request.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
import psutil

from tests.deploy.running import Lectr, free_port, running_lectr, running_nginx

LOAD_CORE = "0"
TARGET_CORE = "1"

# 1.1 KB each way, as in a short chat.
REQUEST = (
    b'{"model":"gpt-4o-mini","temperature":0.2,"messages":[{"role":"system","content":"You answer in one sentence."},'
    b'{"role":"user","content":"' + b"Why is the sky blue at noon and red at dusk? " * 21 + b'"}]}'
)
ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1763800000,"model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"' + b"Air scatters blue light more. " * 24 + b'",'
    b'"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":248,"completion_tokens":160,'
    b'"total_tokens":408,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":'
    b'{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default"}'
)

STREAM_REQUEST = REQUEST[:-1] + b',"stream":true}'


def canned_stream(size: int = 16 * 1024) -> bytes:
    """A streamed answer of about `size` bytes, as a chat gives it: one event a token, then usage."""
    head = (
        b'{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1763800000,'
        b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_1",'
    )
    event = (
        b"data: " + head + b'"choices":[{"index":0,"delta":{"content":" sky"},"finish_reason":null}],"usage":null}\n\n'
    )
    usage = b'"choices":[],"usage":{"prompt_tokens":248,"completion_tokens":60,"total_tokens":308}}\n\n'
    return event * (size // len(event)) + b"data: " + head + usage + b"data: [DONE]\n\n"


PROVIDER_KEY = "sk-bench-4f1d9c27a6b38e05"
"""A made-up one. It is LiteLLM's own key too, which has to be a strong one."""

WRK_SCRIPT = """
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {PROVIDER_KEY}"
wrk.headers["X-Lectr-Key"] = "{key}"
{headers}
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{{"requests":%d,"duration_us":%d,"errors":%d,"bad_status":%d,"p50_us":%d,"p99_us":%d}}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Load(msgspec.Struct, frozen=True):
    """What wrk reports of one run. `p50_us` and `p99_us` are times of one request in microseconds."""

    requests: int
    duration_us: int
    errors: int
    bad_status: int
    p50_us: int
    p99_us: int

    @property
    def per_second(self) -> float:
        return self.requests / (self.duration_us / 1e6)


class Target(msgspec.Struct, frozen=True):
    """Something to measure: where it listens, the process whose whole tree is charged, header fields it asks for."""

    name: str
    port: int
    pid: int
    headers: tuple[tuple[str, str], ...] = ()


class Run(msgspec.Struct, frozen=True):
    target: str
    load: Load
    cpu_us: float
    """CPU microseconds per request, of all processes and threads of the target."""


def canned_provider(port: int) -> str:
    """nginx as the provider: a Python one would be slower than what is measured."""
    return (
        f"keepalive_requests 1000000000;\nserver {{ listen 127.0.0.1:{port} reuseport;\n"
        f"location / {{ default_type application/json; return 200 '{ANSWER.decode()}'; }} }}"
    )


def canned_stream_provider(port: int, folder: Path) -> str:
    """nginx as a provider that streams as fast as it can; a POST to a file is a 405 that becomes the file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "canned.sse").write_bytes(canned_stream())
    return (
        f"keepalive_requests 1000000000;\nserver {{ listen 127.0.0.1:{port} reuseport; root {folder};\n"
        f"default_type text/event-stream; error_page 405 =200 /canned.sse;\n"
        f"location / {{ try_files /canned.sse =404; }} }}"
    )


def plain_proxy(port: int, upstream_port: int, *, buffering: bool = True) -> str:
    """nginx as a proxy that does nothing but pass on: the practical limit. A stream comes late through its buffers."""
    return (
        f"keepalive_requests 1000000000;\nclient_max_body_size 64m;\n"
        f"proxy_buffering {'on' if buffering else 'off'};\nproxy_request_buffering {'on' if buffering else 'off'};\n"
        f"upstream provider {{ server 127.0.0.1:{upstream_port}; keepalive 1024; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://provider; proxy_http_version 1.1;\n"
        f'proxy_set_header Connection ""; }} }}'
    )


@contextmanager
def bench_targets(nginx: str, folder: Path) -> Iterator[tuple[list[Target], Lectr]]:
    """The provider itself, nginx in front of it, and Lectr in front of it, all running."""
    provider_port, proxy_port = free_port(), free_port()
    with ExitStack() as stack:
        provider = stack.enter_context(
            running_nginx(nginx, folder / "provider", canned_provider(provider_port), provider_port, cores=LOAD_CORE)
        )
        proxy_block = plain_proxy(proxy_port, provider_port)
        proxy = stack.enter_context(running_nginx(nginx, folder / "proxy", proxy_block, proxy_port, cores=TARGET_CORE))
        lectr = stack.enter_context(running_lectr(folder / "lectr" / "data", provider_port, cores=TARGET_CORE))
        lectr.create_key("bench")
        yield (
            [
                Target("direct", provider_port, provider),
                Target("nginx", proxy_port, proxy),
                Target("lectr", lectr.port, lectr.process.pid),
            ],
            lectr,
        )


def cpu_ns(pid: int) -> int:
    """Nanoseconds on a CPU so far, of this process, its children and all their threads."""
    tree = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return sum(
        int(schedstat.read_text().split()[0])
        for process in tree
        for schedstat in Path(f"/proc/{process}/task").glob("*/schedstat")
    )


def rss_mib(pid: int) -> float:
    """Resident memory of the tree in MiB."""
    process = psutil.Process(pid)
    resident: int = sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    return resident / 2**20


def forget_peak(pid: int) -> None:
    """From now on, `peak_mib` counts what the tree needs from now on."""
    for process in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """The most resident memory of the tree at any time, in MiB."""
    kib = 0
    for process in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                kib += int(line.split()[1])
    return kib / 1024


def put_load(target: Target, key: str, folder: Path, *, connections: int, seconds: int, body: bytes = REQUEST) -> Run:
    """One run of wrk. Raises RuntimeError on any error or any status but 2xx."""
    script = folder / "request.lua"
    fields = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in target.headers)
    script.write_text(WRK_SCRIPT.format(PROVIDER_KEY=PROVIDER_KEY, key=key, headers=fields, body=body.decode()))
    before = cpu_ns(target.pid)
    address = f"http://127.0.0.1:{target.port}"
    wrk = subprocess.run(
        f"taskset -c {LOAD_CORE} wrk -t1 -c{connections} -d{seconds}s --timeout 10s -s {script} {address}".split(),
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    spent = cpu_ns(target.pid) - before
    if wrk.returncode != 0:
        raise RuntimeError(f"wrk failed: {wrk.stderr or wrk.stdout}")
    load = msgspec.json.decode(wrk.stdout.strip().splitlines()[-1], type=Load)
    if load.errors or load.bad_status or not load.requests:
        raise RuntimeError(f"{target.name}: {load}")
    return Run(target.name, load, spent / 1000 / load.requests)


def check_rows(lectr: Lectr, before: int, load: Load, connections: int) -> None:
    """Every request has its row. wrk leaves without the last answers, so up to one row more per connection."""
    rows = -1
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        now = lectr.rows() - before
        if now >= load.requests and now == rows:
            break
        rows = now
        time.sleep(0.3)
    if not load.requests <= rows <= load.requests + connections:
        raise RuntimeError(f"{load.requests} requests were answered and {rows} rows written")


def alternate(targets: list[Target], rounds: int, run: Callable[[Target], Run]) -> Iterator[dict[str, Run]]:
    """A B C, C B A, ...: the runs of each round by target."""
    for number in range(rounds):
        order = targets if number % 2 == 0 else targets[::-1]
        yield {target.name: run(target) for target in order}


def ratio(rounds: list[dict[str, Run]], one: str, other: str) -> float:
    """Median over the rounds of one's requests per second over the other's in the same round."""
    return median(each[one].load.per_second / each[other].load.per_second for each in rounds)
