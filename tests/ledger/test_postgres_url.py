"""DATABASE_URL in the forms that hosts give, and that a wrong one is answered with a sentence that has no password."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import LedgerError
from app.ledger.postgres_url import PostgresTarget, is_postgres_url, read_postgres_url


def arguments(url: str) -> dict[str, Any]:
    return read_postgres_url(url).arguments


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgres://u:pw@h:5433/d", {"user": "u", "password": "pw", "host": ["h"], "port": [5433], "database": "d"}),
        ("postgresql://h/d", {"host": ["h"], "port": [5432], "database": "d"}),
        ("postgresql+asyncpg://u@h/d", {"user": "u", "host": ["h"]}),
        ("postgresql+psycopg2://u@h/d", {"user": "u"}),
        (" postgres://u:p%40ss%3Aw%2Fo%3Frd%23%25%C3%A9@h/d\n", {"password": "p@ss:w/o?rd#%é"}),
        ("postgres://u:a@b@h/d", {"password": "a@b", "host": ["h"]}),
        ("postgres://us%40er:pw@h/d%20e", {"user": "us@er", "database": "d e"}),
        ("postgres://u@[::1]:6432/d", {"host": ["::1"], "port": [6432]}),
        ("postgres://u@[::1]/d", {"host": ["::1"], "port": [5432]}),
        ("postgres://u@a:1,b:2/d", {"host": ["a", "b"], "port": [1, 2]}),
        ("postgresql://u@/d?host=/var/run/postgresql", {"host": ["/var/run/postgresql"]}),
        (
            "postgresql:///d?host=/run/pg&port=6000&user=u&password=x",
            {"host": ["/run/pg"], "port": [6000]},
        ),
        ("postgres://u:pw@%2Fvar%2Frun%2Fpostgresql/d", {"host": ["/var/run/postgresql"]}),
        ("postgres://h:6543/d?pgbouncer=true&connection_limit=1", {"port": [6543]}),
    ],
)
def test_a_url_is_taken_apart(url: str, wanted: dict[str, Any]) -> None:
    assert is_postgres_url(url)
    found = arguments(url)
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("sslmode=require", "sslmode=require"),
        ("sslmode=disable", "sslmode=disable"),
        ("ssl=require", "sslmode=require"),
        ("ssl=true", "sslmode=require"),
        ("ssl=false", "sslmode=disable"),
        ("sslmode=require&channel_binding=prefer", "sslmode=require"),
        ("sslmode=verify-full&sslrootcert=%2Fa+b%2Froot.crt", "sslrootcert=%2Fa%2Bb%2Froot.crt"),
        ("sslmode=prefer&target_session_attrs=read-write", "target_session_attrs=read-write"),
    ],
)
def test_tls_is_as_it_was_asked_for(query: str, wanted: str) -> None:
    assert wanted in arguments(f"postgres://h/d?{query}")["dsn"]


def test_a_server_that_is_to_prove_itself_is_checked_with_the_authorities_of_this_machine() -> None:
    for query in ("sslmode=verify-full", "sslmode=require&channel_binding=require", "channel_binding=require"):
        dsn = arguments(f"postgres://h/d?{query}")["dsn"]
        assert "sslmode=verify-full" in dsn
        assert "sslrootcert=" in dsn or (Path.home() / ".postgresql" / "root.crt").exists()


def test_settings_of_the_session_go_to_the_server() -> None:
    settings = arguments("postgres://h/d?options=-csearch_path%3Dlectr&application_name=mine")["server_settings"]
    assert settings == {"options": "-csearch_path=lectr", "application_name": "mine"}


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:sec/ret@h/d",
        "postgres://u:12/secret@h/d",
        "postgres://u:sec#ret@h/d",
        "postgres://u:sec?ret@h/d",
        "postgres://u:12?secret=@h/d",
        "postgres://u:[secret@h/d",
        "postgres://u:secret@h:port/d",
        "postgres://u:secret@h:99999/d",
        "postgres://u:secret@h/d?sslmode",
        "postgres://u:secret@h/d?sslmode=maybe",
        "postgres://u:secret@h/d?colour=red",
        "postgres://u:secret%00@h/d",
    ],
)
def test_a_url_that_cannot_be_read_is_answered_without_its_password(url: str) -> None:
    with pytest.raises(LedgerError, match="DATABASE_URL cannot be read") as refused:
        read_postgres_url(url)
    assert "ret" not in str(refused.value).replace("colour", "")


def test_what_is_shown_of_a_target_has_no_password() -> None:
    target = read_postgres_url("postgres://u:secret@a:1,b/d?sslpassword=hidden")
    assert target.shown == "PostgreSQL u@a:1,b:5432/d"
    assert repr(target) == str(target) == "PostgresTarget(PostgreSQL u@a:1,b:5432/d)"
    assert target.scrubbed("no secret here") == "no *** here"
    assert read_postgres_url("postgres:///d?host=/run").shown == "PostgreSQL /run/.s.PGSQL.5432/d"
    assert isinstance(target, PostgresTarget)


def test_other_urls_are_none_of_postgresql() -> None:
    for url in ("", "sqlite:////a", "mysql://postgres://h", "u:postgres@h"):
        assert not is_postgres_url(url)
