"""The facts Lectr is checked against: they lie beside the project, never in it."""

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("LECTR_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """Path of one file of the shared data; skips the test where the folder is absent."""
    path = _FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not here: clone the project beside its shared/ folder, or set LECTR_SHARED_DATA")
    return path
