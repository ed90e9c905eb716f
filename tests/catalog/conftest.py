"""The project's own registry, read once, and copies of it to break."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog

REGISTRY = Path(__file__).resolve().parents[2] / "registry"
TODAY = date(2026, 11, 22)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(REGISTRY)


@pytest.fixture
def registry_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REGISTRY, tmp_path / "registry"))


@pytest.fixture
def edited(registry_copy: Path) -> Callable[[str, str, str], Path]:
    """Call it with file, old and new text: a registry with that one change. Fails if the old text is not there."""

    def edit(file: str, old: str, new: str) -> Path:
        path = registry_copy / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return registry_copy

    return edit
