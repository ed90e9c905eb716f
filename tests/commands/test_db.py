"""`lectr db`, and Lectr on a PostgreSQL as a person runs it: served, copied, and started while the server is away."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.commands.cli import Box, Server, seconds_until
from tests.commands.test_users import signs_in
from tests.postgres import PASSWORD, Cluster, fresh_url

pytestmark = pytest.mark.postgres


@pytest.fixture
def server() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.remove()


def on(url: str, folder: Path, upstream: str) -> Box:
    return Box(folder, upstream, DATABASE_URL=url)


def status(server: Server, key: str) -> tuple[int, str]:
    answer = server.ask(key)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


def test_a_ledger_is_served_copied_and_verified(tmp_path: Path, upstream: str) -> None:
    url = fresh_url()
    box = on(url, tmp_path, upstream)
    with box.serve() as running:
        key = box.key("program")
        seconds_until(lambda: status(running, key)[0] == 200)
        row = running.row(running.ask(key))
        assert httpx.get(f"{running.url}/health").json()["database"] == "postgresql"
        seconds_until(lambda: "PostgreSQL lectr@127.0.0.1" in running.admin("/api/self-check")["database"])
        assert PASSWORD not in running.words
    assert "every sum equals its rows" in box.ok("db", "verify")
    assert "is at this version's schema" in box.ok("db", "upgrade")
    assert "pg_dump" in box.refused("backup")
    (tmp_path / "some.db").write_bytes(b"")
    assert "pg_restore" in box.refused("restore", str(tmp_path / "some.db"))

    copy = f"sqlite:///{tmp_path}/moved/lectr.db"
    said = box.ok("db", "copy", "--to", copy)
    assert "Equal on both sides" in said
    assert "keys                        1 rows" in said
    assert "has rows" in box.refused("db", "copy", "--to", copy)
    assert "there is no ledger" in box.refused("db", "copy", "--from", f"sqlite:///{tmp_path}/none.db", "--to", copy)
    (tmp_path / "second").mkdir()
    moved = on(copy, tmp_path / "second", upstream)
    with moved.serve() as running:
        assert status(running, key) == (200, "")
        assert running.admin(f"/api/requests/{row['id']}") == row


def test_a_server_that_is_away_keeps_nobody_out(tmp_path: Path, upstream: str, server: Cluster) -> None:
    box = on(server.url(server.make_database(empty=True)), tmp_path, upstream)
    server.stop()
    with box.serve(LECTR_ADMIN_PASSWORD="words of an admin") as running:
        assert "cannot be reached" in running.words
        assert "requests get 503" in running.words
        assert status(running, "lc_key_" + "x" * 32) == (503, "starting")
        server.start()
        seconds_until(lambda: status(running, "lc_key_" + "x" * 32) == (401, "invalid_lectr_key"), within_s=20)
        seconds_until(lambda: signs_in_now_and_then(running, "words of an admin"), within_s=20)
        key = box.key("program")
        seconds_until(lambda: status(running, key)[0] == 200)
        seconds_until(lambda: any(tmp_path.rglob("*.essentials")) and b"program" in kept(tmp_path), within_s=20)
    server.stop()
    assert "cannot be reached" in box.refused("keys", "list")
    with box.serve() as running:
        assert "with the keys known last" in running.words
        assert PASSWORD not in running.words
        assert status(running, key) == (200, "")
        assert status(running, "lc_key_" + "x" * 32) == (401, "invalid_lectr_key")
        late = running.ask(key).headers["x-lectr-request-id"]
        assert running.admin("/api/self-check")["rows_lost"] == 0
        server.start()
        seconds_until(lambda: running.admin("/api/self-check")["rows_waiting"] == 0, within_s=20)
        assert running.admin(f"/api/requests/{late}")["id"] == late
    assert "every sum equals its rows" in box.ok("db", "verify")


def signs_in_now_and_then(server: Server, password: str) -> bool:
    # Whoever guesses ten times in a minute is kept out.
    time.sleep(2.5)
    return signs_in(server, "admin", password)


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.essentials"))


def test_a_server_that_refuses_ends_a_first_start(tmp_path: Path, upstream: str) -> None:
    url = fresh_url()
    wrong = on(url.replace("://lectr:", "://lectr:x"), tmp_path, upstream).start("serve")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("lectr: PostgreSQL lectr@127.0.0.1:")
    assert "password authentication failed" in wrong.stderr
    bad = on("postgres://u:sec/ret@h/d", tmp_path, upstream).start("serve")
    assert bad.returncode == 1
    assert "DATABASE_URL cannot be read" in bad.stderr
    assert "ret" not in bad.stderr.split("Its form")[0]
