"""`lectr serve`: what it says at its start, what it refuses to start with, and how it ends."""

import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.commands.cli import ROOT, Box, Server, end, seconds_until, sentence
from tests.commands.test_users import redeem, signs_in

KEY = re.compile(r"lc_key_[A-Za-z0-9]{32}")
LINK = re.compile(r"http\S+/sign-in/link/[\w-]+")


def test_the_first_start_says_what_a_newcomer_needs_and_it_works(box: Box) -> None:
    with box.serve("serve", "--first-steps") as server:
        key, link = KEY.search(server.words), LINK.search(server.words)
        assert key is not None
        assert link is not None
        assert link[0].startswith(server.url)
        assert server.ask(key[0]).status_code == 200
        curl = server.words[server.words.index("curl ") :].partition("\n\n")[0]
        environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-any"}
        done = subprocess.run(["bash", "-c", curl], env=environment, capture_output=True, text=True, timeout=20)
        assert '"choices"' in done.stdout
        row = server.rows(2)[0]
        assert (row["key"], row["status"]) == ("first", 200)
        assert row["cost_picousd"] > 0
        assert redeem(link[0]) == 303
    assert end(server.process) == 0
    check_later_starts(box, key[0])


def check_later_starts(box: Box, key: str) -> None:
    """The same data folder: nothing secret is said again, and the commands that are said work as they stand."""
    with box.serve("serve", "--first-steps") as server:
        assert not KEY.search(server.words)
        assert not LINK.search(server.words)
        assert server.ask(key).status_code == 200
        command = re.search(r"A new key: (.*) NAME", server.words)
        assert command is not None
        done = subprocess.run(
            ["bash", "-c", f"{command[1]} second"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert KEY.fullmatch(done.stdout.splitlines()[-1]), done.stderr
        second = done.stdout.splitlines()[-1]
        seconds_until(lambda: server.ask(second).status_code == 200)


def test_where_nobody_sits_no_secret_is_said(box: Box) -> None:
    with box.serve() as server:
        assert not KEY.search(server.words)
        assert not LINK.search(server.words)
        assert "There is no key yet." in server.words
        assert "keys create NAME" in server.words
    assert "No keys yet" in box.ok("keys", "list")
    assert_private(box.data)


def assert_private(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def test_at_a_terminal_the_first_steps_are_said(box: Box) -> None:
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=box.environment,
        stdout=side,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(side)
        said = ""
        while not LINK.search(said) or "curl" not in said:
            said += os.read(terminal, 10_000).decode()
        url = re.search(r"at (http://127\.0\.0\.1:\d+)", said)
        assert url is not None
        assert KEY.search(said)
        seconds_until(lambda: answers(url[1]), within_s=20)
        assert end(process) == 0
    os.close(terminal)


def test_the_admin_token_is_made_once_and_kept_alone(box: Box) -> None:
    box.environment.pop("LECTR_ADMIN_TOKEN")
    with box.serve() as server:
        token = (box.data / "admin-token").read_text().strip()
        assert len(token) > 30
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{server.url}/api/usage", headers=headers).status_code == 200
        assert token not in server.words
    with box.serve() as server:
        assert httpx.get(f"{server.url}/api/usage", headers=headers).status_code == 200
    assert_private(box.data)


def test_the_password_of_the_environment_signs_the_admin_in(box: Box) -> None:
    with box.serve("serve", "--first-steps", LECTR_ADMIN_PASSWORD="first words") as server:
        assert "LECTR_ADMIN_PASSWORD" in server.words
        assert "first words" not in server.words
        assert signs_in(server, "admin", "first words")
    with box.serve(LECTR_ADMIN_PASSWORD="second words") as server:
        assert signs_in(server, "admin", "second words")
        assert not signs_in(server, "admin", "first words")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_with_zero(box: Box, sign: signal.Signals) -> None:
    with box.serve() as server:
        assert end(server.process, sign) == 0


def test_several_processes_share_the_port_and_end_together(box: Box) -> None:
    with box.serve("serve", "--workers", "2") as server:
        key = box.key("shared")
        seconds_until(lambda: all(server.ask(key).status_code == 200 for _ in range(8)))
        assert end(server.process) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")


def test_a_port_that_is_taken_names_who_holds_it(box: Box, server: Server) -> None:
    port = httpx.URL(server.url).port
    said = box.refused("serve", PORT=str(port))
    assert f"127.0.0.1:{port}" in said
    assert f"(pid {server.process.pid})" in said
    assert "PORT=" in said
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = box.refused("serve", "--port", str(listener.getsockname()[1]))
    assert f"(pid {os.getpid()})" in mine
    assert not box.data.exists(), "a start that fails leaves nothing behind"


def test_a_host_that_does_not_exist_is_said(box: Box) -> None:
    for host in ("203.0.113.7", "no such host"):
        said = box.refused("serve", "--host", host)
        assert "cannot listen on" in said
        assert "HOST must be an address of this machine" in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "eighty", "PORT is 'eighty'"),
        ("PORT", "70000", "between 0 and 65535"),
        ("LECTR_WORKERS", "0", "1 or more"),
        ("LECTR_DRAIN_TIMEOUT_S", "-1", "greater than 0"),
        ("LECTR_OPENAI_BASE_URL", "api.openai.com", "https://"),
        ("LECTR_OPENAI_BASE_URL", "https://api.openai.com/v1", "leave /v1 away"),
        ("LECTR_ALLOW_EPHEMERAL", "perhaps", "write 1 or 0"),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence(box: Box, variable: str, value: str, said: str) -> None:
    told = box.refused("serve", **{variable: value})
    assert told.startswith(f"lectr: {variable}")
    assert said in told


def test_a_registry_that_is_wrong_is_a_sentence(box: Box, broken_tree: Path) -> None:
    said = sentence(box.start("serve", root=str(broken_tree)))
    assert "models/openai.toml" in said
    assert not box.data.exists()


def test_a_disk_that_is_thrown_away_is_refused_with_the_way_out(box: Box) -> None:
    said = sentence(box.start("serve", DYNO="web.1", LECTR_DATA_DIR="/nowhere/data"))
    assert "dokku storage:mount" in said
    assert "LECTR_ALLOW_EPHEMERAL=1" in said
    assert not Path("/nowhere").exists()


def test_it_starts_there_all_the_same_if_told_so(box: Box) -> None:
    with box.serve(DYNO="web.1", LECTR_ALLOW_EPHEMERAL="1") as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
