"""What a box keeps beside its ledger: secrets of its own, for its own user alone, and backups."""

import stat
import threading
from pathlib import Path

import pytest

from app.errors import LedgerError
from app.ledger.database import open_database
from app.operations.box import kept_secret, make_backup
from app.settings import Settings


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    made = kept_secret(tmp_path, "admin-token")
    assert kept_secret(tmp_path, "admin-token") == made
    assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
    assert (tmp_path / "admin-token").read_text() == made + "\n"
    assert len(made) >= 40


def test_each_secret_and_each_box_has_its_own(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    places = [(tmp_path, "admin-token"), (tmp_path, "secret"), (other, "secret")]
    assert len({kept_secret(folder, name) for folder, name in places}) == 3


def test_a_file_that_was_left_empty_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("\n")
    made = kept_secret(tmp_path, "admin-token")
    assert len(made) >= 40
    assert kept_secret(tmp_path, "admin-token") == made
    assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin-token"]


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    for attempt in range(50):
        seen: list[str] = []
        gate = threading.Barrier(4)

        def start(name: str, gate: threading.Barrier, seen: list[str]) -> None:
            gate.wait()
            seen.append(kept_secret(tmp_path, name))

        threads = [threading.Thread(target=start, args=(f"secret-{attempt}", gate, seen)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 4
        assert len(set(seen)) == 1
        assert seen[0]


@pytest.mark.anyio
async def test_a_backup_without_a_name_is_named_by_its_moment(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    database = await open_database(settings)
    try:
        made = await make_backup(database, settings.data_dir, None, 1_795_000_000_000_000)
        assert made == settings.data_dir / "backups" / "lectr-20261118-110640.db"
        assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
        with pytest.raises(LedgerError, match="exists already"):
            await make_backup(database, settings.data_dir, made, 0)
    finally:
        await database.close()
