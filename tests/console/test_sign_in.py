import asyncio
from pathlib import Path

import httpx
import pytest

from app.ledger.database import open_database
from app.ledger.users import UserStore
from app.settings import Settings
from tests.console.html import parse
from tests.console.stage import PASSWORD, Stage, running, serving
from tests.postgres import database_url


def link_token(folder: Path, name: str) -> str:
    async def make() -> str:
        database = await open_database(Settings(data_dir=folder, database_url=database_url(folder)))
        try:
            return await UserStore(database).create_link(name)
        finally:
            await database.close()

    return asyncio.run(make())


def test_the_page_holds_a_form_that_works_without_javascript(stage: Stage) -> None:
    page = parse(stage.visit(None).get("/sign-in").text)
    form = page.one("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/sign-in")
    assert [field.attributes["name"] for field in form.all("input")] == ["csrf", "next", "name", "password"]


def test_who_is_not_signed_in_comes_back_to_the_page_they_wanted(stage: Stage) -> None:
    visit = stage.visit(None)
    answer = visit.get("/requests?model=gpt-4o&range=30d")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Frequests%3Fmodel%3Dgpt-4o%26range%3D30d"
    fields = {"name": "admin", "password": PASSWORD, "next": "/requests?model=gpt-4o&range=30d"}
    answer = visit.submit("/sign-in", fields, page=answer.headers["location"])
    assert answer.headers["location"] == "/requests?model=gpt-4o&range=30d"
    assert visit.get("/requests").status_code == 200


def test_htmx_is_told_to_go_to_the_sign_in_page(stage: Stage) -> None:
    answer = stage.visit(None).fragment("/requests")
    assert (answer.status_code, answer.headers["hx-redirect"], answer.content) == (200, "/sign-in", b"")


@pytest.mark.parametrize("name", ["admin", "nobody"])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(stage: Stage, name: str) -> None:
    answer = stage.visit(None).submit("/sign-in", {"name": name, "password": "wrong"}, page="/sign-in")
    assert answer.status_code == 401
    assert parse(answer.text).one("p", role="alert").text == "That name and password do not fit."


def test_the_eleventh_try_on_a_name_waits_and_a_right_one_clears_the_count(fresh: Stage) -> None:
    visit = fresh.visit(None)
    for _ in range(9):
        assert visit.submit("/sign-in", {"name": "admin", "password": "no"}, page="/sign-in").status_code == 401
    answer = visit.submit("/sign-in", {"name": "admin", "password": PASSWORD}, page="/sign-in")
    assert answer.status_code == 303
    visit = fresh.visit(None)
    for _ in range(10):
        assert visit.submit("/sign-in", {"name": "Admin", "password": "no"}, page="/sign-in").status_code == 401
    answer = visit.submit("/sign-in", {"name": "admin", "password": PASSWORD}, page="/sign-in")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_name_has_its_tries_whichever_process_is_asked(tmp_path: Path) -> None:
    with running(tmp_path, requests=0) as first, serving(tmp_path) as url:
        second = Stage(url, [], first.clients)
        for number in range(10):
            visit = (first, second)[number % 2].visit(None)
            assert visit.submit("/sign-in", {"name": "viewer", "password": "no"}, page="/sign-in").status_code == 401
        for stage in (first, second):
            answer = stage.visit(None).submit("/sign-in", {"name": "viewer", "password": "no"}, page="/sign-in")
            assert answer.status_code == 429


def test_an_address_has_its_tries_too_whatever_names_it_gives(fresh: Stage) -> None:
    visit = fresh.visit(None)
    for number in range(20):
        fields = {"name": f"nobody-{number}", "password": "no"}
        assert visit.submit("/sign-in", fields, page="/sign-in").status_code == 401
    answer = visit.submit("/sign-in", {"name": "nobody", "password": "no"}, page="/sign-in")
    assert answer.status_code == 429


def test_the_session_has_a_new_id_that_the_browser_did_not_bring(fresh: Stage) -> None:
    visit = fresh.visit(None)
    visit.client.cookies.set("lectr", "chosen-by-somebody-else")
    answer = visit.submit("/sign-in", {"name": "admin", "password": PASSWORD}, page="/sign-in")
    assert "lectr=" in answer.headers["set-cookie"]
    assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    brought = httpx.get(fresh.url, headers={"cookie": "lectr=chosen-by-somebody-else", "accept": "text/html"})
    assert brought.status_code == 303


def test_over_plain_http_the_cookie_is_httponly_and_lax_but_cannot_be_secure(fresh: Stage) -> None:
    visit = fresh.visit(None)
    answer = visit.submit("/sign-in", {"name": "admin", "password": PASSWORD}, page="/sign-in")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("lectr=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_behind_a_trusted_tls_proxy_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    with running(tmp_path, requests=0, trusted_proxies=("127.0.0.1",)) as stage:
        visit = stage.visit(None, headers=forwarded)
        page = visit.get("/sign-in")
        assert "Secure" in page.headers["set-cookie"]
        assert page.headers["strict-transport-security"].startswith("max-age=")
        # httpx keeps no Secure cookie of an http address, so it is carried by hand.
        visited = page.headers["set-cookie"].split(";")[0]
        token = parse(page.text).all("input", name="csrf")[0].attributes["value"]
        origin = stage.url.replace("http:", "https:")
        fields = {"csrf": token, "name": "admin", "password": PASSWORD}
        answer = httpx.post(
            stage.url + "/sign-in", data=fields, headers={**forwarded, "cookie": visited, "origin": origin}
        )
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-lectr=")
        assert "Secure" in cookie


def test_forwarded_headers_of_a_stranger_are_not_believed(stage: Stage) -> None:
    page = stage.visit(None).get("/sign-in", **{"x-forwarded-proto": "https"})
    assert "Secure" not in page.headers["set-cookie"]
    assert "strict-transport-security" not in page.headers


def test_signing_out_ends_the_session_on_the_server(fresh: Stage) -> None:
    visit = fresh.visit("admin")
    token = visit.client.cookies["lectr"]
    assert visit.submit("/sign-out", {}).headers["location"] == "/sign-in"
    replayed = httpx.get(fresh.url, headers={"cookie": f"lectr={token}", "accept": "text/html"})
    assert replayed.status_code == 303


def test_signing_out_everywhere_ends_the_other_browsers_too(fresh: Stage) -> None:
    here, there, somebody = fresh.visit("admin"), fresh.visit("admin"), fresh.visit("viewer")
    here.submit("/sign-out", {"everywhere": "1"})
    assert there.get("/").status_code == 303
    assert somebody.get("/").status_code == 200


def test_looking_at_a_sign_in_link_does_not_use_it_up_and_using_it_does(tmp_path: Path) -> None:
    with running(tmp_path, requests=0) as stage:
        path = f"/sign-in/link/{link_token(tmp_path, 'viewer')}"
        for _ in range(3):
            assert httpx.head(stage.url + path).status_code == 200
            assert stage.visit(None).get(path).status_code == 200
        visit = stage.visit(None)
        assert visit.submit(path, {}, page=path).headers["location"] == "/"
        assert "viewer" in visit.get("/").text
        again = stage.visit(None).submit(path, {}, page=path)
        assert again.status_code == 401
        assert "has been used" in again.text


def test_a_changed_password_ends_every_other_session(fresh: Stage) -> None:
    here, there = fresh.visit("viewer"), fresh.visit("viewer")
    wrong = here.submit("/settings/password", {"present": "wrong", "password": "battery staple"})
    assert wrong.status_code == 422
    assert there.get("/").status_code == 200
    answer = here.submit("/settings/password", {"present": PASSWORD, "password": "battery staple"})
    assert answer.status_code == 303
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303


def test_the_theme_is_remembered_without_javascript(stage: Stage) -> None:
    visit = stage.visit("viewer")
    answer = visit.submit("/theme", {"theme": "dark", "next": "/models"})
    assert answer.headers["location"] == "/models"
    assert parse(visit.get("/models").text).one("html").attributes["data-theme"] == "dark"
    visit.submit("/theme", {"theme": "<script>", "next": "//evil.example"})
    assert parse(visit.get("/models").text).one("html").attributes["data-theme"] == "dark"
