"""The words of Lectr name a command that works where the person is."""

import sys
from pathlib import Path

import pytest

from app.commands.launched import lectr_command


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "tree" / ".venv" / "bin" / "lectr"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "serve"])
    monkeypatch.chdir(tmp_path / "tree")
    return program


def test_below_this_folder_it_is_a_short_path(launcher: Path) -> None:
    assert lectr_command("users link", environ={"PATH": "/usr/bin"}) == ".venv/bin/lectr users link"


def test_on_the_path_it_is_the_name(launcher: Path) -> None:
    assert lectr_command("users link", environ={"PATH": str(launcher.parent)}) == "lectr users link"


def test_another_lectr_on_the_path_is_not_this_one(launcher: Path, tmp_path: Path) -> None:
    other = tmp_path / "lectr"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert lectr_command("keys list", environ={"PATH": str(tmp_path)}) == ".venv/bin/lectr keys list"


def test_from_elsewhere_it_is_the_whole_path(launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    assert lectr_command("keys list", environ={"PATH": "/usr/bin"}) == f"{launcher} keys list"


def test_a_module_is_named_with_its_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/app/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    assert lectr_command("doctor", environ={"PATH": "/usr/bin"}) == "bin/python -m app doctor"


def test_a_data_folder_of_the_environment_is_named(launcher: Path) -> None:
    environ = {"PATH": "/usr/bin", "LECTR_DATA_DIR": "/srv/our data"}
    assert lectr_command("doctor", environ=environ) == "LECTR_DATA_DIR='/srv/our data' .venv/bin/lectr doctor"
