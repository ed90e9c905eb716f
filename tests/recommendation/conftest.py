"""The registry as it is shipped."""

from pathlib import Path

import pytest

from app.catalog.catalog import Catalog
from app.catalog.load import load_catalog


@pytest.fixture(scope="package")
def shipped() -> Catalog:
    return load_catalog(Path(__file__).resolve().parents[2] / "registry")
