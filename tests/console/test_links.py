import pytest

from app.console.links import Query, local_path


def test_a_link_changes_one_thing_and_keeps_the_rest() -> None:
    query = Query("/requests", {"q": "a b", "range": "30d"})
    assert query.url(provider="groq", after=None) == "/requests?q=a+b&range=30d&provider=groq"
    assert query.url(q=None, range=None) == "/requests"
    assert query.url("/requests.csv") == "/requests.csv?q=a+b&range=30d"


def test_a_value_cannot_leave_its_parameter() -> None:
    assert Query("/requests", {"model": 'a&b="<'}).url() == "/requests?model=a%26b%3D%22%3C"


@pytest.mark.parametrize(
    "target", [None, "", "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb"]
)
def test_signing_in_never_leads_elsewhere(target: str | None) -> None:
    assert local_path(target) == "/"


def test_signing_in_leads_back() -> None:
    assert local_path("/requests?model=a&range=30d") == "/requests?model=a&range=30d"


@pytest.mark.parametrize(
    ("target", "sent"),
    [("/requests?feature=☃", "/requests?feature=%E2%98%83"), ("/é?a=%20b", "/%C3%A9?a=%20b"), ("/a b", "/a%20b")],
)
def test_a_path_in_any_script_can_stand_in_a_header_field(target: str, sent: str) -> None:
    """Found from outside: it was a fault of ours, to whoever followed such a link and signed in."""
    assert local_path(target) == sent
