"""Which disks keep a ledger: with DYNO set, those that are mounted; elsewhere every disk."""

from pathlib import Path

import pytest

from app.commands.place import refuse_ephemeral_disk
from app.errors import SettingsError
from app.settings import Settings

DYNO = {"DYNO": "web.1"}
SETTINGS = Settings(data_dir=Path("/storage/lectr/data"))


def mounts(folder: Path, *lines: str) -> Path:
    table = folder / "mounts"
    table.write_text("".join(f"{line} rw,relatime 0 0\n" for line in ("overlay / overlay", *lines)))
    return table


@pytest.mark.parametrize(
    "line",
    ["/dev/sdb /storage ext4", "/dev/sdb /storage/lectr xfs", "nas:/vol /storage/lectr/data nfs4"],
)
def test_a_mounted_volume_keeps(tmp_path: Path, line: str) -> None:
    refuse_ephemeral_disk(SETTINGS, DYNO, mounts(tmp_path, line))


@pytest.mark.parametrize(
    "line",
    ["proc /proc proc", "/dev/sdb /app ext4", "/dev/sdb /storage2 ext4", "tmpfs /storage tmpfs", "", "odd"],
)
def test_anything_else_is_thrown_away(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="throws away"):
        refuse_ephemeral_disk(SETTINGS, DYNO, mounts(tmp_path, line))


def test_the_folder_of_the_app_is_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        refuse_ephemeral_disk(Settings(data_dir=Path("/app/data")), DYNO, mounts(tmp_path, "/dev/sdb /app ext4"))
    refuse_ephemeral_disk(Settings(data_dir=Path("/app/data")), DYNO, mounts(tmp_path, "/dev/sdb /app/data ext4"))


def test_a_name_with_spaces_and_other_letters_is_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=Path("/große Platte/data"))
    refuse_ephemeral_disk(settings, DYNO, mounts(tmp_path, "/dev/sdb /große\\040Platte ext4"))


def test_a_table_that_cannot_be_read_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        refuse_ephemeral_disk(SETTINGS, DYNO, tmp_path / "none")


def test_a_file_that_database_url_names_is_looked_for_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=Path("/nowhere"), database_url="sqlite:////app/kept/lectr.db")
    with pytest.raises(SettingsError, match="/app/kept lies on a disk"):
        refuse_ephemeral_disk(settings, DYNO, mounts(tmp_path))
    refuse_ephemeral_disk(settings, DYNO, mounts(tmp_path, "/dev/sdb /app/kept ext4"))


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (SETTINGS, {}),
        (Settings(data_dir=Path("/nowhere"), allow_ephemeral=True), DYNO),
        (Settings(data_dir=Path("/nowhere"), database_url="postgresql://elsewhere/db"), DYNO),
    ],
    ids=["no dyno", "allowed", "another database"],
)
def test_where_it_does_not_matter(tmp_path: Path, settings: Settings, environ: dict[str, str]) -> None:
    refuse_ephemeral_disk(settings, environ, mounts(tmp_path))
