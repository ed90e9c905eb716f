"""How many requests a second, and for how much CPU: JSON, canned streams, and TLS to the provider, with wrk."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.authority import make_certificate
from tests.bench.field import SLOW, Field, field
from tests.bench.measure import (
    ANSWER,
    LOAD_CORE,
    REQUEST,
    STREAM_REQUEST,
    TARGET_CORE,
    Run,
    Target,
    alternate,
    check_rows,
    put_load,
)
from tests.bench.peers import calm_down
from tests.bench.providers import json_provider, sse_provider
from tests.bench.results import Cell, Part, cells_of, part_of
from tests.deploy.running import Lectr, free_port, running_lectr, running_nginx

JSON_LOADS = (1, 16, 64, 256)
BUSY = 64
WARM_S, SLOW_WARM_S = 1, 6


class Plan:
    """How long and how often each target is measured under each load."""

    def __init__(self, rounds: int = 3, seconds: int = 3) -> None:
        self.rounds = rounds
        self.seconds = seconds


def runner(lectrs: dict[str, Lectr], folder: Path, body: bytes) -> Callable[[Target, int, int], Run]:
    """One run of wrk against one target; after a Lectr's, its rows are counted."""
    some = next(iter(lectrs.values()))

    def run(target: Target, connections: int, seconds: int) -> Run:
        lectr = lectrs.get(target.name)
        before = lectr.rows() if lectr else 0
        key = (lectr or some).key
        # wrk counts what was answered in its time: a slow target needs more of it to answer anything.
        longer = 3 if target.name in SLOW and connections > 16 else 1
        measured = put_load(target, key, folder, connections=connections, seconds=seconds * longer, body=body)
        if lectr:
            check_rows(lectr, before, measured.load, connections)
        calm_down(target.pid)
        return measured

    return run


def measure_all(
    targets: list[Target],
    run: Callable[[Target, int, int], Run],
    loads: tuple[int, ...],
    plan: Plan,
    base_of: Callable[[str], str] = lambda _name: "lectr",
) -> list[Cell]:
    """Every target under every load, in alternating rounds, after a moment to get warm."""
    for target in targets:
        run(target, 8, SLOW_WARM_S if target.name in SLOW else WARM_S)
    cells = []
    for connections in loads:

        def at_this_load(target: Target, connections: int = connections) -> Run:
            return run(target, connections, plan.seconds)

        cells += cells_of(list(alternate(targets, plan.rounds, at_this_load)), connections, base_of=base_of)
        _tell(cells, connections)
    return cells


def _tell(cells: list[Cell], at: int) -> None:
    for cell in cells:
        if cell.at == at:
            figures = cell.figures
            print(
                f"  c={at:<5} {cell.target:<18} {figures['per_second']:>9,.0f}/s {figures['cpu_us']:>8,.0f} us CPU"
                f"  p50 {figures['p50_ms']:>8.2f} ms  p99 {figures['p99_ms']:>8.2f} ms"
                f"  lectr/this {figures.get('rate_ratio', 0):.3f}",
                flush=True,
            )


def json_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """A chat of 1.1 KB each way, against everybody."""
    with (
        field(nginx, folder, peers=True) as all_of_them,
        json_provider(nginx, folder, all_of_them.upstream_port) as provider,
    ):
        targets = _beside_direct(all_of_them, provider, nginx_is="nginx, buffering")
        run = runner({"lectr": all_of_them.lectr}, folder, REQUEST)
        cells = measure_all(targets, run, JSON_LOADS, plan)
    return part_of(cells, plan.rounds, [f"Request {len(REQUEST):,} bytes, answer {len(ANSWER):,} bytes."])


def sse_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """16 KB of events as fast as they come, against everybody; nginx also with the buffers no stream can use."""
    with (
        field(nginx, folder, peers=True) as all_of_them,
        sse_provider(nginx, folder, all_of_them.upstream_port) as provider,
    ):
        targets = [Target("direct", all_of_them.upstream_port, provider), *all_of_them.targets.values()]
        run = runner({"lectr": all_of_them.lectr}, folder, STREAM_REQUEST)
        cells = measure_all(targets, run, (BUSY,), plan)
    return part_of(cells, plan.rounds)


def _beside_direct(all_of_them: Field, provider: int, nginx_is: str) -> list[Target]:
    """The provider itself and everybody, with one of the two nginxes under the name of nginx."""
    targets = [Target("direct", all_of_them.upstream_port, provider)]
    for name, target in all_of_them.targets.items():
        if name == nginx_is:
            targets.append(Target("nginx", target.port, target.pid))
        elif not name.startswith("nginx"):
            targets.append(target)
    return targets


def tls_part(nginx: str, folder: Path, plan: Plan) -> Part:
    """The same chat with TLS to the provider and without, Lectr and nginx."""
    with tls_field(nginx, folder) as (targets, lectrs):
        run = runner(lectrs, folder, REQUEST)
        cells = measure_all(targets, run, (BUSY,), plan, lambda name: "lectr, TLS" if "TLS" in name else "lectr")
    note = "TLS 1.3 to the provider, its certificate verified against a local authority (SSL_CERT_FILE for Lectr)."
    return part_of(cells, plan.rounds, [note])


@contextmanager
def tls_field(nginx: str, folder: Path) -> Iterator[tuple[list[Target], dict[str, Lectr]]]:
    """Lectr and nginx, each once in front of a plain provider and once in front of one with TLS."""
    certificate = make_certificate(folder / "authority")
    plain, secure, proxy, secure_proxy = (free_port() for _ in range(4))
    tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key}; listen 127.0.0.1:{secure} ssl;"
    provider = (
        f"keepalive_requests 1000000000;\nserver {{ listen 127.0.0.1:{plain}; {tls}\n"
        f"location / {{ default_type application/json; return 200 '{ANSWER.decode()}'; }} }}"
    )

    def passing(port: int, upstream: int, scheme: str) -> str:
        return (
            f"upstream u{port} {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {scheme}://u{port}; proxy_http_version 1.1;\n"
            f'proxy_set_header Connection ""; }} }}\n'
        )

    verified = (
        "keepalive_requests 1000000000; proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_server_name on;\n"
        f"proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_trusted_certificate {certificate.authority};\n"
    )
    proxies = verified + passing(proxy, plain, "http") + passing(secure_proxy, secure, "https")
    with ExitStack() as stack:
        stack.enter_context(running_nginx(nginx, folder / "provider", provider, plain, cores=LOAD_CORE))
        pid = stack.enter_context(running_nginx(nginx, folder / "proxy", proxies, proxy, cores=TARGET_CORE))
        lectrs = {}
        for name, address in (("lectr", f"http://127.0.0.1:{plain}"), ("lectr, TLS", f"https://localhost:{secure}")):
            more = {"LECTR_OPENAI_BASE_URL": address, "SSL_CERT_FILE": str(certificate.authority)}
            where = folder / name.replace(", ", "-") / "data"
            lectrs[name] = stack.enter_context(running_lectr(where, plain, cores=TARGET_CORE, **more))
            lectrs[name].create_key("bench")
        targets = [Target("nginx", proxy, pid), Target("nginx, TLS", secure_proxy, pid)]
        targets += [Target(name, lectr.port, lectr.process.pid) for name, lectr in lectrs.items()]
        yield targets, lectrs
