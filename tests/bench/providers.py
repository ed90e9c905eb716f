"""The providers behind all targets, one after another on one port: nginx for canned answers, C for slow streams."""

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import ANSWER, LOAD_CORE, canned_provider, canned_stream_provider
from tests.bench.peers import BENCH
from tests.deploy.running import port_is_open, running_nginx, stop

NATIVE = Path(__file__).with_name("native")


def compiled(name: str) -> Path:
    """A program of native/, compiled where its source is newer than what was compiled before."""
    source, program = NATIVE / f"{name}.c", BENCH / "native" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
    return program


@contextlib.contextmanager
def json_provider(nginx: str, folder: Path, port: int) -> Iterator[int]:
    """Answers every request with the same short chat; yields the process id."""
    with running_nginx(nginx, folder / "json", canned_provider(port), port, cores=LOAD_CORE) as pid:
        yield pid


@contextlib.contextmanager
def sse_provider(nginx: str, folder: Path, port: int) -> Iterator[int]:
    """Answers every request with the same 16 KB of events, as fast as it can; yields the process id."""
    block = canned_stream_provider(port, folder / "sse" / "files")
    with running_nginx(nginx, folder / "sse", block, port, cores=LOAD_CORE) as pid:
        yield pid


@contextlib.contextmanager
def slow_provider(folder: Path, port: int) -> Iterator[int]:
    """Streams an event now and then until it is told to end; reads bodies of any length. Yields the process id."""
    if port_is_open(port):
        raise RuntimeError(f"port {port} is in use")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer.json").write_bytes(ANSWER)
    command = ["taskset", "-c", LOAD_CORE, str(compiled("provider")), str(port), str(folder / "answer.json")]
    process = subprocess.Popen(command)
    try:
        while not port_is_open(port):
            if process.poll() is not None:
                raise RuntimeError(f"the provider ended with {process.returncode}")
            time.sleep(0.01)
        yield process.pid
    finally:
        stop(process, within_s=5)


def set_gap(port: int, milliseconds: int) -> None:
    """The pause between two events of each stream that begins from now on."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/gap/{milliseconds * 1000}", timeout=10):
        pass


def end_streams(port: int) -> None:
    """Let every open stream come to its end."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/end", timeout=10):
        pass
