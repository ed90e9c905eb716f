"""Threats 34 and 46: a start opens its own socket and no other, and no proxy of the environment is ever asked."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.edge.asking import asking
from tests.edge.conftest import upstream_settings
from tests.edge.provider import Provider
from tests.house.files import ROOT
from tests.running import data_settings, running

WATCHED = """
import json, sys
told = open(sys.argv[1], "a", buffering=1)
EVENTS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
def note(event, args):
    if event in EVENTS:
        told.write(json.dumps([event, repr(args[1:])[:120]]) + chr(10))
sys.addaudithook(note)
sys.argv = ["lectr", "serve", "--port", "0"]
from app.__main__ import main
main()
"""


def test_t46_a_start_opens_no_socket_but_its_own(tmp_path: Path) -> None:
    told, said = tmp_path / "told", tmp_path / "said"
    environment = {"PATH": os.environ["PATH"], "LECTR_DATA_DIR": str(tmp_path / "data")}
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHED, str(told)], cwd=ROOT, env=environment, stdout=out, stderr=out
        )
    try:
        deadline, url = time.monotonic() + 30, ""
        while not url and time.monotonic() < deadline:
            time.sleep(0.1)
            found = re.search(r"http://127\.0\.0\.1:\d+", said.read_text())
            url = found[0] if found else ""
        assert httpx.get(f"{url}/health").status_code == 200
        time.sleep(1.0)
        # uvloop's own connections pass by the hook: the kernel knows them all.
        reached = {found.raddr.ip for found in psutil.Process(process.pid).net_connections() if found.raddr}
        assert reached <= {"127.0.0.1"}
    finally:
        process.terminate()
        process.wait(30)
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert events, "the start was not watched"
    # asyncio's own pair of connected sockets has no address; the listener is on this machine.
    outside = [event for event in events if event[0] != "socket.bind" and "127.0.0.1" not in event[1]]
    assert outside == []
    assert {event[0] for event in events if "127.0.0.1" in event[1]} <= {"socket.bind", "socket.getaddrinfo"}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_t34_no_proxy_of_the_environment_is_asked(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with running(data_settings(tmp_path, **upstream_settings(provider.address))) as lectr:
        assert lectr.call(body=asking()).status == 200
