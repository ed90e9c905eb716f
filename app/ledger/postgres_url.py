"""Reads DATABASE_URL in the forms that hosts hand out, and says where a PostgreSQL is, without its password."""

import hashlib
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from app.errors import LedgerError

SCHEMES = ("postgres", "postgresql")
CONNECT_TIMEOUT_S = 3
_TLS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
_TO_THE_DRIVER = (*_TLS, "target_session_attrs", "passfile", "krbsrvname", "gsslib")
_TO_THE_SERVER = ("options", "application_name", "search_path")
_PLACES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
_WITHOUT_MEANING = frozenset(
    (
        *("connect_timeout", "client_encoding", "fallback_application_name", "gssencmode", "keepalives"),
        *("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslcompression", "sslsni"),
        *("pgbouncer", "connection_limit", "pool_timeout", "prepared_statements", "prepared_statement_cache_size"),
        *("statement_cache_size", "uselibpqcompat", "supa"),
    )
)
"""What libpq, other drivers and poolers take and Lectr decides by itself: it needs no prepared statements anyhow."""
_SSL_WORDS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_ENCODE = "write @ : / ? # and % in user name and password percent-encoded, @ as %40"


class PostgresTarget(msgspec.Struct, frozen=True):
    """Where a PostgreSQL is: what asyncpg is called with, the password among it; `shown` is for people and has none."""

    arguments: dict[str, Any]
    shown: str

    def __repr__(self) -> str:
        return f"PostgresTarget({self.shown})"

    def scrubbed(self, text: str) -> str:
        """The text without the password, should it be in there."""
        password = self.arguments.get("password") or ""
        return text.replace(password, "***") if len(password) > 3 else text


def is_postgres_url(url: str) -> bool:
    """True for any spelling of a PostgreSQL URL: `postgres://`, `postgresql://`, `postgresql+asyncpg://`, …"""
    return url.strip().partition("://")[0].partition("+")[0].lower() in SCHEMES


def read_postgres_url(url: str) -> PostgresTarget:
    """The parts of a URL. Raises LedgerError with a sentence that repeats nothing of it but a parameter's name."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise _unreadable(_ENCODE) from None
    if parts.fragment or "@" in parts.query or any(sign in parts.path.lstrip("/") for sign in "@/"):
        raise _unreadable(_ENCODE)
    access, _, place = parts.netloc.rpartition("@")
    user, colon, password = access.partition(":")
    found: dict[str, Any] = {
        "host": place,
        "user": unquote(user),
        "password": unquote(password) if colon else "",
        "database": unquote(parts.path.lstrip("/")),
    }
    given = _parameters(parts.query)
    found |= {_PLACES[name]: given.pop(name) for name in tuple(given) if name in _PLACES and given[name]}
    if any("\0" in str(value) for value in (*found.values(), *given.values())):
        raise _unreadable("there is a NUL character in it")
    found |= _hosts(found["host"], found.pop("port", ""))
    tls = {name: value for name, value in given.items() if name in _TO_THE_DRIVER and value}
    if given.get("channel_binding") == "require" and not tls.get("sslmode", "").startswith("verify-"):
        # The driver binds no channels; what that is for, an answer from the right server, the certificate shows too.
        tls["sslmode"] = "verify-full"
    _trust_known_authorities(tls)
    settings = {"application_name": "lectr"} | {name: given[name] for name in _TO_THE_SERVER if given.get(name)}
    arguments = {name: value for name, value in found.items() if value}
    arguments |= {"dsn": f"postgresql://?{urlencode(tls)}", "server_settings": settings}
    return PostgresTarget(arguments, _shown(arguments))


def name_beside(target: PostgresTarget, folder: Path) -> Path:
    """How copies of parts of this database are named: after the place, so that none is taken for another one's."""
    return folder / f"postgresql-{hashlib.sha256(target.shown.encode()).hexdigest()[:12]}"


def _unreadable(why: str) -> LedgerError:
    return LedgerError(f"DATABASE_URL cannot be read: {why}. Its form is postgres://USER:PASSWORD@HOST:5432/DATABASE")


def _hosts(places: str, port_of_all: str) -> dict[str, Any]:
    """Hosts and ports, several of them separated by commas; a host may be a folder with the server's socket."""
    hosts: list[str] = []
    ports: list[int] = []
    for place in places.split(","):
        host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
        host, port = (host, port) if colon else (place, "")
        port = port or port_of_all or "5432"
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise _unreadable(f"the port is no number from 1 to 65535, or {_ENCODE}")
        hosts.append(unquote(host.removeprefix("[").removesuffix("]")) or "localhost")
        ports.append(int(port))
    return {"host": hosts, "port": ports}


def _parameters(query: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    if any(not name or not equals for name, equals, _ in pairs):
        raise _unreadable(f"what follows the ? has the form name=value&name=value, and {_ENCODE}")
    given = {unquote(name): unquote(value) for name, _, value in pairs}
    if "ssl" in given:
        mode = given.pop("ssl")
        given.setdefault("sslmode", _SSL_WORDS.get(mode.lower(), mode))
    known = (*_PLACES, *_TO_THE_DRIVER, *_TO_THE_SERVER, "channel_binding")
    for name in sorted(given):
        if name not in known and name not in _WITHOUT_MEANING:
            raise _unreadable(f"the parameter {name[:40]!r} is none that Lectr knows; leave it away")
    modes = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
    if given.get("sslmode", "prefer") not in modes:
        raise _unreadable(f"sslmode is one of {', '.join(modes)}")
    return {name: value for name, value in given.items() if name in known}


def _trust_known_authorities(tls: dict[str, str]) -> None:
    """Where a certificate is to be checked and no authority is named, the system's own list is meant."""
    if not tls.get("sslmode", "").startswith("verify-") or tls.get("sslrootcert", "system") != "system":
        return
    tls.pop("sslrootcert", None)
    if (Path.home() / ".postgresql" / "root.crt").exists():
        return
    bundle = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if Path(bundle).exists():
        tls["sslrootcert"] = bundle


def _shown(arguments: dict[str, Any]) -> str:
    user = f"{arguments['user']}@" if "user" in arguments else ""
    pairs = zip(arguments["host"], arguments["port"], strict=True)
    places = (f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}" for host, port in pairs)
    return f"PostgreSQL {user}{','.join(places)}/{arguments.get('database', '')}"
