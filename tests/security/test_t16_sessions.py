"""Threat 16: a session is made at sign-in, is nobody else's, and ends where it is ended."""

from pathlib import Path

import httpx

from tests.console.stage import PASSWORD, running


def test_t16_no_session_is_fixed_replayed_or_left_over(tmp_path: Path) -> None:
    with running(tmp_path, requests=0) as stage:
        planted = "A" * 43
        visit = stage.visit(None)
        visit.client.cookies.set("lectr", planted)
        assert visit.submit("/sign-in", {"name": "admin", "password": PASSWORD}, page="/sign-in").status_code == 303
        given = visit.client.cookies.get("lectr", domain="127.0.0.1") or ""
        assert len({planted, given}) == 2
        assert len(given) >= 43

        def status(token: str) -> int:
            headers = {"cookie": f"lectr={token}", "accept": "text/html"}
            return httpx.get(f"{stage.url}/settings", headers=headers).status_code

        assert (status(planted), status(given), status(given[:-1]), status("")) == (303, 200, 303, 303)
        other = stage.visit("admin").client.cookies.get("lectr", domain="127.0.0.1") or ""
        token = visit.csrf("/settings")
        visit.client.post("/sign-out", data={"csrf": token}, headers={"origin": stage.url})
        assert (status(given), status(other)) == (303, 200)
        for answer in (httpx.get(f"{stage.url}/sign-in"), visit.get("/sign-in")):
            for cookie in answer.headers.get_list("set-cookie"):
                assert "HttpOnly" in cookie
                assert "SameSite=lax" in cookie
