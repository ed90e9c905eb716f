"""The nginx configuration of docs/deploy.md, as it stands there, in front of a real Lectr."""

import http.client
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from app.settings import Settings
from tests.deploy.running import (
    ROOT,
    Lectr,
    SlowProvider,
    free_port,
    running_lectr,
    running_nginx,
    running_provider,
)

pytestmark = pytest.mark.nginx

BehindNginx = Callable[..., AbstractContextManager[int]]

TWENTY_MEGABYTES = 20 * 1024 * 1024


def documented_server() -> str:
    """The `server` block of the doc, with the directives of docs/nginx.conf where it includes that file."""
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    assert len(blocks) == 1, "docs/deploy.md shows one nginx configuration"
    included = re.compile(r"include [^;]*/docs/nginx\.conf;")
    assert included.search(blocks[0]), "the server block includes docs/nginx.conf"
    return included.sub(lambda _: (ROOT / "docs/nginx.conf").read_text(), blocks[0])


@pytest.fixture(scope="module")
def lectr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lectr]:
    with (
        running_provider() as upstream_port,
        running_lectr(tmp_path_factory.mktemp("nginx") / "data", upstream_port) as server,
    ):
        server.create_key("nginx-test")
        yield server


@pytest.fixture
def behind_nginx(lectr: Lectr, tmp_path: Path, require_tool: Callable[[str], str]) -> BehindNginx:
    """Call it with changes to the documented block ({text: replacement}): an nginx on the port it yields."""
    nginx = require_tool("nginx")

    @contextmanager
    def start(changes: dict[str, str] | None = None, around: str = "") -> Iterator[int]:
        port = free_port()
        server = documented_server()
        for text, replacement in {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "http://127.0.0.1:8000": f"http://127.0.0.1:{lectr.port}",
            **(changes or {}),
        }.items():
            assert text in server, f"{text!r} is not in the documented configuration"
            server = server.replace(text, replacement)
        with running_nginx(nginx, tmp_path / "nginx", f"{around}\n{server}", port):
            yield port

    return start


@contextmanager
def post(port: int, key: str, body: dict[str, object]) -> Iterator[http.client.HTTPResponse]:
    headers = {"X-Lectr-Key": key, "Authorization": "Bearer sk-test", "Content-Type": "application/json"}
    headers["Accept-Encoding"] = "gzip"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        with connection.getresponse() as answer:
            yield answer


def chat(prompt: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": prompt}]}


# The hardest case: nginx compresses, as many are set up to, and collects what it compresses unless it may not buffer.
COMPRESS = "gzip on; gzip_proxied any; gzip_types text/event-stream;"
IGNORE_LECTR = "proxy_ignore_headers X-Accel-Buffering;"


@pytest.mark.parametrize(
    ("changes", "around", "arrives_event_by_event"),
    [
        pytest.param({}, "", True, id="as documented"),
        pytest.param({"proxy_buffering off;": f"proxy_buffering off; {IGNORE_LECTR}"}, COMPRESS, True, id="directive"),
        pytest.param({"proxy_buffering off;": "proxy_buffering on;"}, COMPRESS, True, id="Lectr's header"),
        pytest.param({"proxy_buffering off;": f"proxy_buffering on; {IGNORE_LECTR}"}, COMPRESS, False, id="neither"),
    ],
)
def test_a_stream_passes_event_by_event(
    lectr: Lectr, behind_nginx: BehindNginx, changes: dict[str, str], around: str, arrives_event_by_event: bool
) -> None:
    with behind_nginx(changes, around) as port, post(port, lectr.key, chat("count", stream=True)) as answer:
        assert answer.status == 200
        arrivals = arrivals_of(b"word", answer)
    assert len(arrivals) == SlowProvider.events
    spread = arrivals[-1] - arrivals[0]
    whole = SlowProvider.gap_s * (SlowProvider.events - 1)
    assert (spread > whole / 2) is arrives_event_by_event


def arrivals_of(mark: bytes, answer: http.client.HTTPResponse) -> list[float]:
    """When each `mark` of the answer, compressed or not, could be read by the client, in seconds."""
    compressed = zlib.decompressobj(wbits=31) if answer.headers["Content-Encoding"] == "gzip" else None
    arrivals: list[float] = []
    text = b""
    while piece := answer.read1():
        text += compressed.decompress(piece) if compressed else piece
        arrivals += [time.monotonic()] * (text.count(mark) - len(arrivals))
    return arrivals


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, 200, id="as documented"),
        pytest.param({"client_max_body_size 520m;": ""}, 413, id="nginx's own limit"),
    ],
)
def test_a_body_of_20_megabytes_passes(
    lectr: Lectr, behind_nginx: BehindNginx, changes: dict[str, str], status: int
) -> None:
    with behind_nginx(changes) as port:
        try:
            with post(port, lectr.key, chat("x" * TWENTY_MEGABYTES)) as answer:
                assert answer.status == status
                if status == 200:
                    received = int(json.load(answer)["choices"][0]["message"]["content"].split()[1])
                    assert received > TWENTY_MEGABYTES
        except (BrokenPipeError, ConnectionResetError):
            assert status == 413, "nginx closed on a body that should pass"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, 200, id="as documented"),
        pytest.param({"proxy_read_timeout 920s;": ""}, 504, id="nginx's own limit"),
    ],
)
def test_a_late_first_byte_passes(
    lectr: Lectr, behind_nginx: BehindNginx, changes: dict[str, str], status: int
) -> None:
    """nginx's own 60 s are scaled to 1 s, the provider's minutes to 2.5 s."""
    limited = behind_nginx(changes, around="proxy_read_timeout 1s;")
    with limited as port, post(port, lectr.key, chat("wait 2.5")) as answer:
        assert answer.status == status


def test_nginx_waits_longer_than_lectr_does() -> None:
    waits = {
        name: int(seconds)
        for name, seconds in re.findall(r"(proxy_\w+_timeout) (\d+)s;", (ROOT / "docs/nginx.conf").read_text())
    }
    assert waits["proxy_read_timeout"] > max(Settings().first_byte_timeout_s, Settings().idle_timeout_s)
