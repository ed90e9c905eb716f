"""Every setting of Lectr, read once from the environment.

`SETTINGS` is the one list: README's table, `lectr serve --help` and the parser are made from it.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.errors import SettingsError

MEBIBYTE = 1024 * 1024


class Setting(msgspec.Struct, frozen=True):
    """One environment variable: its name, field, how it is read, its default as README shows it, and its help."""

    variable: str
    field: str
    read: Callable[[str], Any]
    default: Any
    help: str
    secret: bool = False


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("write 1 or 0")


def _positive_float(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ValueError("write a number of seconds greater than 0")
    return number


def _positive_int(value: str) -> int:
    number = int(value) if value.strip().isdecimal() else 0
    if number < 1:
        raise ValueError("write a whole number, 1 or more")
    return number


def _port(value: str) -> int:
    number = int(value) if value.strip().isdecimal() else -1
    if not 0 <= number <= 65535:
        raise ValueError("write a port between 0 and 65535")
    return number


def _base_url(value: str) -> str:
    trimmed = value.strip().rstrip("/")
    if not trimmed.startswith(("https://", "http://")):
        raise ValueError("write a URL that starts with https://")
    if not urlsplit(trimmed).hostname or not trimmed.isascii() or " " in trimmed:
        raise ValueError("write a URL with a host name in it")
    if trimmed.endswith("/v1"):
        raise ValueError("leave /v1 away: Lectr adds it")
    return trimmed


def _networks(value: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    for name in names:
        ip_network(name, strict=False)
    return names


def _sync(value: str) -> str:
    if value.strip().lower() not in ("fast", "full"):
        raise ValueError("write fast or full")
    return value.strip().lower()


def _key(value: str) -> str:
    trimmed = value.strip()
    if not trimmed.isascii() or not trimmed.isprintable():
        raise ValueError("a key has no line breaks or accents in it")
    return trimmed


SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", "host", _text, "127.0.0.1", "Address to listen on. The Procfile passes 0.0.0.0."),
    Setting("PORT", "port", _port, 8000, "Port to listen on."),
    Setting(
        "LECTR_WORKERS",
        "workers",
        _positive_int,
        1,
        "Server processes. WEB_CONCURRENCY counts only where DYNO is not set.",
    ),
    Setting("LECTR_DATA_DIR", "data_dir", Path, Path("data"), "Folder of the database and admin token (0700)."),
    Setting(
        "LECTR_LEDGER_SYNC",
        "ledger_sync",
        _sync,
        "fast",
        "A row counts as safe when the kernel (fast) or the disk (full) has it.",
    ),
    Setting("DATABASE_URL", "database_url", _text, "", "A PostgreSQL, or another file (`sqlite:////…`).", secret=True),
    Setting(
        "LECTR_ADMIN_TOKEN",
        "admin_token",
        _text,
        "",
        "Bearer token of the admin API. If unset, made at first start and kept in `admin-token`.",
        secret=True,
    ),
    Setting("LECTR_ADMIN_PASSWORD", "admin_password", _text, "", "Password of the console user `admin`.", secret=True),
    Setting(
        "LECTR_SECRET",
        "secret",
        _text,
        "",
        "Signs the console's CSRF tokens. If unset, made at first start and kept in `secret`.",
        secret=True,
    ),
    Setting(
        "LECTR_PUBLIC_URL",
        "public_url",
        _text,
        "",
        "Address shown in snippets and links, such as https://lectr.example.com.",
    ),
    Setting(
        "LECTR_TRUSTED_PROXIES",
        "trusted_proxies",
        _networks,
        (),
        "Addresses or networks whose X-Forwarded-For and -Proto are believed, comma-separated.",
    ),
    Setting(
        "LECTR_ALLOW_EPHEMERAL", "allow_ephemeral", _flag, False, "Start with SQLite on a disk that the host wipes."
    ),
    Setting(
        "LECTR_ALLOW_PRIVATE_UPSTREAMS",
        "allow_private_upstreams",
        _flag,
        False,
        "Allow http and private addresses as upstreams.",
    ),
    Setting("LECTR_OPENAI_BASE_URL", "openai_base_url", _base_url, "", "Instead of https://api.openai.com."),
    Setting("LECTR_ANTHROPIC_BASE_URL", "anthropic_base_url", _base_url, "", "Instead of https://api.anthropic.com."),
    Setting("LECTR_GROQ_BASE_URL", "groq_base_url", _base_url, "", "Instead of https://api.groq.com/openai."),
    Setting(
        "LECTR_GEMINI_BASE_URL",
        "gemini_base_url",
        _base_url,
        "",
        "Instead of https://generativelanguage.googleapis.com/v1beta/openai.",
    ),
    Setting(
        "LECTR_AZURE_ENDPOINT", "azure_endpoint", _base_url, "", "Azure OpenAI endpoint; the console's setting wins."
    ),
    Setting(
        "LECTR_AZURE_API_VERSION",
        "azure_api_version",
        _text,
        "",
        "Azure API version: empty for the v1 form, a date for the deployment form.",
    ),
    Setting(
        "OPENAI_API_KEY", "openai_api_key", _key, "", "The box's OpenAI key, for callers that bring none.", secret=True
    ),
    Setting("ANTHROPIC_API_KEY", "anthropic_api_key", _key, "", "The box's own Anthropic key.", secret=True),
    Setting("GROQ_API_KEY", "groq_api_key", _key, "", "The box's own Groq key.", secret=True),
    Setting("GEMINI_API_KEY", "gemini_api_key", _key, "", "The box's own Gemini key.", secret=True),
    Setting("AZURE_OPENAI_API_KEY", "azure_openai_api_key", _key, "", "The box's own Azure OpenAI key.", secret=True),
    Setting("LECTR_MAX_BODY_MB", "max_body_mb", _positive_int, 64, "Largest request body in MiB."),
    Setting("LECTR_CONNECT_TIMEOUT_S", "connect_timeout_s", _positive_float, 10.0, "Seconds to connect to a provider."),
    Setting(
        "LECTR_FIRST_BYTE_TIMEOUT_S",
        "first_byte_timeout_s",
        _positive_float,
        900.0,
        "Seconds until a provider's first byte.",
    ),
    Setting(
        "LECTR_IDLE_TIMEOUT_S", "idle_timeout_s", _positive_float, 900.0, "Seconds a provider may pause in an answer."
    ),
    Setting(
        "LECTR_STREAM_TIMEOUT_S", "stream_timeout_s", _positive_float, 7200.0, "Seconds one answer may take in all."
    ),
    Setting(
        "LECTR_CLIENT_HEADERS_TIMEOUT_S",
        "client_headers_timeout_s",
        _positive_float,
        10.0,
        "Seconds for a client's headers.",
    ),
    Setting(
        "LECTR_CLIENT_BODY_TIMEOUT_S",
        "client_body_timeout_s",
        _positive_float,
        15.0,
        "Seconds a client's body may stand still.",
    ),
    Setting(
        "LECTR_CLIENT_WRITE_TIMEOUT_S",
        "client_write_timeout_s",
        _positive_float,
        60.0,
        "Seconds a client may leave its answer unread.",
    ),
    Setting(
        "LECTR_DRAIN_TIMEOUT_S", "drain_timeout_s", _positive_float, 25.0, "Seconds streams may go on after SIGTERM."
    ),
)

_BY_FIELD = {setting.field: setting for setting in SETTINGS}


class Settings(msgspec.Struct, frozen=True):
    """All settings, checked. `repr` shows no secret."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    data_dir: Path = Path("data")
    ledger_sync: str = "fast"
    database_url: str = ""
    admin_token: str = ""
    admin_password: str = ""
    secret: str = ""
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    allow_ephemeral: bool = False
    allow_private_upstreams: bool = False
    openai_base_url: str = ""
    anthropic_base_url: str = ""
    groq_base_url: str = ""
    gemini_base_url: str = ""
    azure_endpoint: str = ""
    azure_api_version: str = ""
    openai_api_key: str = ""
    anthropic_api_key: str = ""
    groq_api_key: str = ""
    gemini_api_key: str = ""
    azure_openai_api_key: str = ""
    max_body_mb: int = 64
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 900.0
    idle_timeout_s: float = 900.0
    stream_timeout_s: float = 7200.0
    client_headers_timeout_s: float = 10.0
    client_body_timeout_s: float = 15.0
    client_write_timeout_s: float = 60.0
    drain_timeout_s: float = 25.0
    demo: bool = False
    """True only in `lectr demo`: every page and answer is marked."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read all settings. Raises SettingsError naming the variable and what to write instead."""
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            raw = environ.get(setting.variable)
            if raw is None or raw.strip() == "":
                continue
            try:
                values[setting.field] = setting.read(raw)
            except ValueError as error:
                shown = "" if setting.secret else f" is {raw!r}"
                raise SettingsError(f"{setting.variable}{shown}: {error}") from None
        if "workers" not in values and "DYNO" not in environ and environ.get("WEB_CONCURRENCY", "").isdigit():
            values["workers"] = max(1, int(environ["WEB_CONCURRENCY"]))
        return cls(**values)

    def provider_value(self, name: str) -> str:
        """The value of the setting with this environment name, as providers' TOML files name them."""
        for setting in SETTINGS:
            if setting.variable == name:
                return str(getattr(self, setting.field))
        raise SettingsError(f"{name} is no setting of Lectr")

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if name in _BY_FIELD and _BY_FIELD[name].secret and value else value!r}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Settings({shown})"
