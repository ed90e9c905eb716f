"""The command that started this process, in words that work again where the person is."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def lectr_command(*words: str, environ: Mapping[str, str] | None = None) -> str:
    """`lectr WORDS`, as it must be typed in this folder: `.venv/bin/lectr` where `lectr` alone is not found.

    A data folder that the environment names is named here too, since another terminal has another environment.
    """
    environ = os.environ if environ is None else environ
    folder = environ.get("LECTR_DATA_DIR", "").strip()
    setting = f"LECTR_DATA_DIR={shlex.quote(folder)} " if folder else ""
    return " ".join((setting + _launcher(Path(sys.argv[0]), environ.get("PATH")), *words))


def _launcher(started: Path, path: str | None) -> str:
    if started.name == "__main__.py":
        return f"{_typed(Path(sys.executable), path)} -m {started.parent.name}"
    return _typed(started, path)


def _typed(program: Path, path: str | None) -> str:
    """How a program is called from here: by its name where PATH leads to it, else by the shortest path."""
    # Not resolved: the python of a .venv is a link to one that knows none of its packages.
    absolute = Path(os.path.abspath(program))
    found = shutil.which(program.name, path=path)
    if found is not None and Path(os.path.abspath(found)) == absolute:
        return program.name
    here = Path.cwd()
    shown = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    return shlex.quote(str(shown))
