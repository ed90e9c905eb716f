import pytest

from app.console.security import CONSOLE_HEADERS, comes_from_here, csrf_holds, csrf_token

SECRET = b"k" * 32


def test_a_token_holds_for_its_session_and_secret_only() -> None:
    token = csrf_token(SECRET, "session")
    assert csrf_holds(SECRET, "session", token)
    assert not csrf_holds(SECRET, "other", token)
    assert not csrf_holds(b"x" * 32, "session", token)
    assert not csrf_holds(SECRET, "session", token[:-1])
    assert not csrf_holds(SECRET, "session", "")
    assert not csrf_holds(SECRET, "session", "é" * 80)


def test_tokens_differ_so_that_a_compressed_page_tells_nothing() -> None:
    assert csrf_token(SECRET, "session") != csrf_token(SECRET, "session")


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"origin": "https://lectr.example"}, True),
        ({"origin": "https://lectr.example", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "null"}, False),
        ({"origin": "https://lectr.example.evil"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://lectr.example:8443"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "https://lectr.example", "sec-fetch-site": "cross-site"}, False),
    ],
)
def test_only_our_own_pages_may_change_something(headers: dict[str, str], ours: bool) -> None:
    assert comes_from_here(headers, ["lectr.example", ""]) is ours


def test_the_policy_allows_no_inline_script_style_or_foreign_host() -> None:
    policy = CONSOLE_HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy
