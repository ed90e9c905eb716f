"""`lectr users`: people of the console, and links that sign one in once."""

import re

import httpx

from tests.commands.cli import Box, Server
from tests.console.stage import Visit


def signs_in(server: Server, name: str, password: str) -> bool:
    with httpx.Client(base_url=server.url) as client:
        answer = Visit(client).submit("/sign-in", {"name": name, "password": password}, page="/sign-in")
        return answer.status_code == 303


def redeem(link: str) -> int:
    """What pressing the button behind a link answers."""
    path = httpx.URL(link).path
    with httpx.Client(base_url=link.removesuffix(path)) as client:
        return Visit(client).submit(path, {}, page=path).status_code


def test_a_user_signs_in_and_a_new_password_ends_the_old_one(served_box: Box, server: Server) -> None:
    served_box.ok("users", "create", "ada", "--password", "first words", "--role", "viewer")
    assert signs_in(server, "ada", "first words")
    assert not signs_in(server, "ada", "other words")
    typed = "second words\nsecond words\n"
    assert "changed" in served_box.ok("users", "passwd", "ada", typed=typed)
    assert signs_in(server, "ada", "second words")
    assert not signs_in(server, "ada", "first words")
    assert "exists already" in served_box.refused("users", "create", "ada", "--password", "many words")
    assert "'nobody'" in served_box.refused("users", "passwd", "nobody", "--password", "many words")


def test_a_short_password_is_refused_here_as_in_the_console(box: Box) -> None:
    for asked in (("create", "ada"), ("passwd", "ada")):
        assert "at least 10 characters" in box.refused("users", *asked, "--password", "too short")


def test_a_link_signs_in_once(served_box: Box, server: Server) -> None:
    port = str(httpx.URL(server.url).port)
    served_box.ok("users", "create", "grace", "--password", "many words")
    # Where the server listens is known from its folder, whatever port this shell has been told of.
    link = served_box.ok("users", "link", "grace", PORT="1" if port != "1" else "2").strip()
    assert re.fullmatch(re.escape(server.url) + r"/sign-in/link/[\w-]{20,}", link)
    assert redeem(link) == 303
    assert redeem(link) == 401


def test_a_link_for_nobody_says_how_to_make_somebody(box: Box) -> None:
    assert "-m app users create eve" in box.refused("users", "link", "eve")


def test_the_first_link_makes_the_admin_and_has_the_public_address(box: Box) -> None:
    link = box.ok("users", "link", LECTR_PUBLIC_URL="https://lectr.example.com/").strip()
    assert link.startswith("https://lectr.example.com/sign-in/link/")
    assert "exists already" in box.refused("users", "create", "admin", "--password", "many words")
