"""Where Lectr is about to run: is the port free, and does the disk keep what is written?"""

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.errors import SettingsError
from app.ledger.postgres_url import is_postgres_url
from app.ledger.sqlite_files import path_of
from app.settings import Settings

_ADDRESS = "address"
_BACKLOG = 2048
_THROWN_AWAY = ("/", "/app")
_IN_MEMORY = ("tmpfs", "ramfs")
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens on the settings' address. Raises SettingsError naming who holds the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        said = f"cannot listen on {settings.host}:{settings.port} ({error.strerror})"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(f"{said}. HOST must be an address of this machine, such as 127.0.0.1") from None
        holder = _holder(settings.port)
        raise SettingsError(
            said
            + (f"; it is held by {holder}" if holder else "")
            + f". Choose another port: PORT={settings.port + 1 if settings.port < 65535 else 8000}"
        ) from None
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener


def _holder(port: int) -> str:
    """`NAME (pid N)` of the process that listens on a port, as far as /proc tells this user; else empty."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(descriptor) in inodes for descriptor in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
        except OSError:
            continue
    return "a process of another user"


def _listening_inodes(port: int) -> Iterable[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def refuse_ephemeral_disk(
    settings: Settings, environ: Mapping[str, str], mounts: Path = Path("/proc/self/mounts")
) -> None:
    """Raise SettingsError where the host throws the data folder away at its next restart (Heroku's dynos).

    Dokku sets DYNO too, and has mounts: a folder on a mounted volume is kept.
    """
    if "DYNO" not in environ or settings.allow_ephemeral or is_postgres_url(settings.database_url):
        return
    folder = path_of(settings).parent.resolve()
    if any(folder.is_relative_to(point) for point in _kept_mounts(mounts)):
        return
    raise SettingsError(
        f"{folder} lies on a disk that this host throws away, and the ledger with it. Keep it in PostgreSQL (Heroku: "
        "`heroku addons:create heroku-postgresql:essential-0` sets DATABASE_URL), or mount a volume and point "
        "LECTR_DATA_DIR to it (Dokku: `dokku storage:mount APP /var/lib/dokku/data/storage/APP:/data` and "
        "`dokku config:set APP LECTR_DATA_DIR=/data`). LECTR_ALLOW_EPHEMERAL=1 starts all the same."
    )


def _kept_mounts(mounts: Path) -> Iterable[str]:
    """The mount points of a table as in /proc/mounts that outlive the machine."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        _device, point, kind, *_ = [*line.split(), b"", b"", b""]
        # Spaces and backslashes in a name are written as octal escapes.
        name = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), point).decode("utf-8", "replace")
        if name and name not in _THROWN_AWAY and kind.decode("ascii", "replace") not in _IN_MEMORY:
            yield name


def keep_address(settings: Settings) -> None:
    """Write down where this server listens, for commands that point people to it. A folder that is full is no fault."""
    with contextlib.suppress(OSError):
        path = settings.data_dir / _ADDRESS
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(console_url(settings))


def served_address(settings: Settings) -> str:
    """Where people find this box: the public address, else where it listened last, else where it would."""
    if settings.public_url:
        return console_url(settings)
    try:
        kept = (settings.data_dir / _ADDRESS).read_text().strip()
    except (OSError, ValueError):
        kept = ""
    return kept if kept.startswith("http://") else console_url(settings)


def console_url(settings: Settings) -> str:
    """The address people type: the public one, or this machine's."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104
    return settings.public_url.rstrip("/") or f"http://{host}:{settings.port}"
