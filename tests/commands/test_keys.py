"""`lectr keys`: made, known everywhere within a second, listed without secrets, ended within a second."""

import re

from tests.commands.cli import Box, Server, seconds_until


def test_a_key_lives_within_a_second_and_ends_within_a_second(served_box: Box, server: Server) -> None:
    said = served_box.start("keys", "create", "billing").stdout.splitlines()
    key = said[-1]
    assert re.fullmatch(r"lc_key_[A-Za-z0-9]{32}", key)
    assert key not in "\n".join(said[:-1])
    assert seconds_until(lambda: server.ask(key).status_code == 200) < 1.0
    assert server.rows(1, key="billing")
    assert "revoked" in served_box.ok("keys", "revoke", "billing")
    assert seconds_until(lambda: server.ask(key).status_code == 401) < 1.0
    assert server.ask(key).json()["error"]["code"] == "invalid_lectr_key"


def test_the_list_shows_names_and_defaults_and_no_secret(served_box: Box, server: Server) -> None:
    key = served_box.key("house", "--provider", "Groq", "--feature", "search", "--requests-per-minute", "30")
    served_box.key("gone")
    served_box.ok("keys", "revoke", "gone")
    listed = served_box.ok("keys", "list")
    lines = {line.split()[0]: line.split()[1:] for line in listed.splitlines()}
    assert lines["house"] == [f"…{key[-4:]}", "active", "groq", "30", "-", "search"]
    assert "revoked" in lines["gone"]
    assert key not in listed


def test_the_list_stays_in_columns_whatever_the_names(box: Box) -> None:
    long = "of the team that searches, ".ljust(100, "x")
    for name in ("b", "naïve 日本", long):
        box.key(name, "--feature", "search")
    head, *lines = box.ok("keys", "list").splitlines()
    at = head.index("ends in")
    assert at < 20, "a name that is too long widens nothing"
    assert lines[2] == long, "nor is it cut: it is what `keys revoke` wants"
    assert [line.index("…") for line in (lines[0], lines[1], lines[3])] == [at, at - 2, at]
    assert [line.index("active") for line in (lines[0], lines[3])] == [head.index("state")] * 2
    for line in (lines[0], lines[3]):
        assert line.index("search") == head.index("feature")
        assert line.index(" -") + 2 == head.index("provider") + 1


def test_defaults_and_limits_hold_for_the_keys_requests(served_box: Box, server: Server) -> None:
    key = served_box.key("limited", "--feature", "search", "--provider", "openai", "--requests-per-minute", "1")
    seconds_until(lambda: server.ask(key).status_code == 200)
    refused = server.ask(key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    row = server.rows(1, key="limited", status="200")[0]
    assert (row["feature"], row["detected_by"]) == ("search", "key_default")


def test_what_cannot_be_is_a_sentence(served_box: Box, server: Server) -> None:
    served_box.key("twice")
    assert "twice" in served_box.refused("keys", "create", "twice")
    assert "there are openai, anthropic, groq, gemini, azure" in served_box.refused(
        "keys", "create", "other", "--provider", "nobody"
    )
    assert "'nobody'" in served_box.refused("keys", "revoke", "nobody")
    assert "name" in served_box.refused("keys", "create", "")
    assert served_box.run("keys", "create", "zero", "--streams", "0").returncode == 2


def test_without_keys_the_list_says_how_to_make_one(box: Box) -> None:
    said = box.ok("keys", "list")
    assert "-m app keys create NAME" in said
