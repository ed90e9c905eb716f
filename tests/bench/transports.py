"""The same Lectr over three transports, side by side: the table of docs/decisions/0002-upstream-transport.md.

`python -m tests.bench.transports` measures (JSON, TLS, SSE: only those); `... serve NAME` is one of its servers.
"""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import httpx

from app.asgi import create_app
from app.commands.place import listening_socket
from app.edge.server import LectrServer, server_config
from app.settings import Settings
from app.upstream.egress import make_tls_context
from app.upstream.transport import PooledTransport
from tests.bench.authority import make_certificate
from tests.bench.measure import (
    LOAD_CORE,
    REQUEST,
    STREAM_REQUEST,
    TARGET_CORE,
    Run,
    Target,
    alternate,
    canned_provider,
    canned_stream_provider,
    plain_proxy,
    put_load,
    ratio,
)
from tests.conftest import find_tool
from tests.deploy.running import ROOT, Lectr, free_port, lectr_environment, running_nginx, stop, wait_until_healthy

LOADS = {"JSON": (1, 16, 64), "TLS": (64,), "SSE": (64,)}
ROUNDS = 4
SECONDS = 3


def aiohttp_transport() -> httpx.AsyncBaseTransport:
    """httpx-aiohttp, called directly, with what it adds by itself turned off."""
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=make_tls_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    return AiohttpTransport(client=session)


class FreeList(httpx.AsyncBaseTransport):
    """Stock transports of one connection each, last in first out: httpcore without its quadratic pool."""

    def __init__(self) -> None:
        self.free: list[httpx.AsyncHTTPTransport] = []
        self.tls = make_tls_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        transport = self.free.pop() if self.free else self._make(limits)
        response = await transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Returning(response.stream, lambda: self.free.append(transport))
        return response

    def _make(self, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self.tls, limits=limits, trust_env=False)


class _Returning(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, give_back: Callable[[], None]) -> None:
        self._stream = stream
        self._give_back: Callable[[], None] | None = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


TRANSPORTS: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "aiohttp": aiohttp_transport,
    "freelist": FreeList,
    "own": lambda: PooledTransport(allow_private=True),
}


def serve(name: str) -> None:
    settings = Settings.from_env(os.environ)
    app = create_app(settings, transport=TRANSPORTS[name]())
    server = LectrServer(server_config(app, settings), app.drain, settings.drain_timeout_s)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    server.run(sockets=[listening_socket(settings)])


@contextmanager
def running(name: str, folder: Path, upstream_port: int, more: dict[str, str]) -> Iterator[Lectr]:
    port = free_port()
    environment = lectr_environment(folder / "data", port, upstream_port, **more)
    (folder / "data").mkdir(parents=True, mode=0o700)
    with (folder / "log").open("wb") as output:
        command = ["taskset", "-c", TARGET_CORE, sys.executable, "-m", "tests.bench.transports", "serve", name]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        lectr = Lectr(process, port, environment, folder / "log")
        try:
            wait_until_healthy(lectr)
            lectr.create_key("bench")
            yield lectr
        finally:
            stop(process)


def compare(nginx: str, folder: Path, kind: str, loads: tuple[int, ...]) -> None:
    upstream_port, proxy_port = free_port(), free_port()
    streamed = kind == "SSE"
    block = canned_stream_provider(upstream_port, folder / "files") if streamed else canned_provider(upstream_port)
    more = {}
    if kind == "TLS":
        made = make_certificate(folder / "authority")
        secure = f"127.0.0.1:{upstream_port} ssl; ssl_certificate {made.chain}; ssl_certificate_key {made.key}"
        block = block.replace(f"127.0.0.1:{upstream_port} reuseport", secure)
        more = {"LECTR_OPENAI_BASE_URL": f"https://localhost:{upstream_port}", "SSL_CERT_FILE": str(made.authority)}
    with ExitStack() as stack:
        stack.enter_context(running_nginx(nginx, folder / "up", block, upstream_port, cores=LOAD_CORE))
        proxy_block = plain_proxy(proxy_port, upstream_port)
        if kind == "TLS":
            proxy_block = proxy_block.replace("proxy_pass http:", "proxy_pass https:")
        proxy = stack.enter_context(running_nginx(nginx, folder / "px", proxy_block, proxy_port, cores=TARGET_CORE))
        servers = {name: stack.enter_context(running(name, folder / name, upstream_port, more)) for name in TRANSPORTS}
        targets = [Target("nginx", proxy_port, proxy)]
        targets += [Target(name, lectr.port, lectr.process.pid) for name, lectr in servers.items()]
        keys = {name: lectr.key for name, lectr in servers.items()} | {"nginx": "none"}

        def run(target: Target, connections: int, seconds: int) -> Run:
            body = STREAM_REQUEST if streamed else REQUEST
            key = keys[target.name]
            return put_load(target, key, folder, connections=connections, seconds=seconds, body=body)

        for target in targets:
            run(target, 8, 1)
        for connections in loads:
            rounds = list(alternate(targets, ROUNDS, lambda target, c=connections: run(target, c, SECONDS)))  # type: ignore[misc]
            for target in targets:
                runs = [each[target.name] for each in rounds]
                print(
                    f"{kind:<5} c={connections:<3} {target.name:<9}"
                    f" {median(each.load.per_second for each in runs):>8,.0f} requests/s"
                    f" {median(each.cpu_us for each in runs):>7,.0f} us CPU"
                    f" p50 {median(each.load.p50_us for each in runs) / 1000:>7.2f} ms"
                    f"   against own {ratio(rounds, target.name, 'own'):.2f}"
                    f"   against nginx {ratio(rounds, target.name, 'nginx'):.3f}",
                    flush=True,
                )


def main() -> None:
    nginx = find_tool("nginx")
    if nginx is None or find_tool("wrk") is None:
        sys.exit("transports needs nginx and wrk")
    asked = sys.argv[1:] or list(LOADS)
    with tempfile.TemporaryDirectory(prefix="lectr-transports-") as folder:
        for kind in asked:
            compare(nginx, Path(folder) / kind, kind, LOADS[kind])


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
