"""Threat 17: no page of another site changes anything, whatever it sends; and looking changes nothing at all."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.console.stage import Stage, Visit, running
from tests.console.test_routes import ALL, FORMS, address

CHANGES_BY_LOOKING = {"sessions", "keys", "sign_in_tries", "advice_cells", "advice_days"}
"""When somebody was last seen, and sums that are made of the rows when a page first needs them."""
KINDS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "application/json", "")
ORIGINS = (
    {"origin": "https://evil.test"}, {"origin": "null"}, {"origin": "http://[::1"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"}, {"origin": "http://127.0.0.1"}, {"origin": "http://127.0.0.1.evil.test"},
    {"origin": "https://evil.test", "host": "127.0.0.1"},
    {"origin": "https://evil.test", "x-forwarded-host": "evil.test"},
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Path]]:
    folder = tmp_path_factory.mktemp("csrf")
    with running(folder, requests=60) as stage:
        yield stage, folder / "lectr.db"


@pytest.fixture(scope="module")
def admin(stage: tuple[Stage, Path]) -> Visit:
    return stage[0].visit("admin")


def state(database: Path) -> dict[str, str]:
    """A digest of each table's rows."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in names:
            rows = sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    connection.close()
    return {name: digest for name, digest in found.items() if name not in CHANGES_BY_LOOKING}


def test_t17_looking_at_every_route_changes_nothing(stage: tuple[Stage, Path], admin: Visit) -> None:
    _, database = stage
    before = state(database)
    assert len(before) > 8
    seen = 0
    for method, path, _ in ALL:
        if method in ("GET", "HEAD"):
            with admin.client.stream(method, address(path), headers={"accept": "text/html"}):
                seen += 1
            for query in ("id=1&delete=1&confirm=1", "_method=POST", "action=delete&csrf=x"):
                with admin.client.stream(
                    method, f"{address(path)}?{query}", headers={"x-http-method-override": "POST"}
                ):
                    pass
    assert seen > 15
    assert state(database) == before


@pytest.mark.parametrize("kind", KINDS)
def test_t17_no_kind_of_form_from_elsewhere_is_taken(stage: tuple[Stage, Path], admin: Visit, kind: str) -> None:
    """Each form, with a token that is right, from each place that is wrong; and without a token from the right one."""
    _, database = stage
    before, token = state(database), admin.csrf("/settings")
    fields = {"csrf": token, "name": "backend", "id": "1", "kind": "price", "everywhere": "1"}
    body = str(httpx.QueryParams(fields))
    if kind.startswith("multipart"):
        parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
        body = "".join(parts) + "--b--\r\n"
    here = str(admin.client.base_url).rstrip("/")
    for path, _ in FORMS:
        for origin in (*ORIGINS, {"origin": here, "no token": "1"}):
            headers = {"accept": "text/html", **origin} | ({"content-type": kind} if kind else {})
            sent = body.replace(token, "") if headers.pop("no token", None) else body
            answer = admin.client.post(address(path), content=sent, headers=headers)
            assert answer.status_code in (400, 403, 413, 415), (path, origin, answer.status_code)
    assert admin.get("/settings").status_code == 200, "the session was ended from elsewhere"
    assert state(database) == before


def test_t17_a_token_is_of_its_own_session_and_secret_only(stage: tuple[Stage, Path], admin: Visit) -> None:
    other = stage[0].visit("admin")
    here = {"origin": str(admin.client.base_url).rstrip("/")}
    for token in (other.csrf("/settings"), admin.csrf("/settings")[:-1], "", "0" * 80, admin.csrf("/settings") + "0"):
        answer = admin.client.post("/theme", data={"csrf": token, "theme": "dark", "next": "/"}, headers=here)
        assert answer.status_code == 403, token
