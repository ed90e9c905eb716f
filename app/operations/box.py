"""What a box keeps beside its ledger: secrets made at first start, and backups."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from app.ledger.database import Database
from app.ledger.maintenance import backup


def kept_secret(data_dir: Path, name: str) -> str:
    """The secret in this file of the data folder, made at first use; 0600, never logged and never empty."""
    path = data_dir / name
    if kept := _read(path):
        return kept
    made = f"lc_{name.split('-')[0]}_{secrets.token_urlsafe(32)}"
    draft = data_dir / f".{name}-{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(made + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # Whole or not at all: a process that starts beside this one must not read half a secret.
            path.hardlink_to(draft)
        except OSError:
            # It is there already, was left empty, or this disk knows no links.
            if not _read(path):
                draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


async def make_backup(database: Database, data_dir: Path, destination: Path | None, at_us: int) -> Path:
    """A consistent copy while requests go on; None = a new file in the data folder's `backups`. Raises LedgerError."""
    if destination is None:
        folder = data_dir / "backups"
        folder.mkdir(mode=0o700, exist_ok=True)
        moment = datetime.fromtimestamp(at_us / 1e6, UTC)
        destination = folder / f"lectr-{moment:%Y%m%d-%H%M%S}.db"
    await backup(database, destination)
    return destination
