"""What a start leaves out, so that a restart under load is short, and what it must not leave out."""

import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.asgi import REGISTRY_DIR, create_app
from app.catalog.load import load_catalog
from app.commands import serving
from app.settings import Settings
from tests.commands.cli import Box


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector as it was before."""
    thresholds, on = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if on else gc.disable)()


def test_a_server_does_without_what_packages_only_look_for(tmp_path: Path) -> None:
    pytest.importorskip("pydantic_core")
    box = Box(tmp_path)
    key = box.key("program")
    with box.serve() as server:
        mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "uvloop" in mapped
        assert "pydantic_core" not in mapped
        assert server.ask(key).status_code == 503


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("looked_while_starting", [False, True])
def test_who_serves_looks_for_garbage_and_not_among_what_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, looked_while_starting: bool
) -> None:
    seen = []

    class Server:
        started = True

        def __init__(self, *_values: object) -> None:
            pass

        def run(self, sockets: list[socket.socket]) -> None:
            seen.append((gc.isenabled(), gc.get_freeze_count() > 10_000, gc.get_threshold()[0] > 10_000))

    def built(_settings: Settings, **given: Any) -> Any:
        assert given["catalog"] is catalog
        return SimpleNamespace(drain=None)

    catalog = load_catalog(REGISTRY_DIR)
    monkeypatch.setattr(serving, "start_logging", lambda: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(serving, "create_app", built)
    monkeypatch.setattr(serving, "server_config", lambda *_values: None)
    monkeypatch.setattr(serving, "LectrServer", Server)
    (gc.enable if looked_while_starting else gc.disable)()
    with socket.socket() as listener:
        serving._serve_one(Settings(data_dir=tmp_path), listener, catalog)
    assert seen == [(True, True, True)]


def test_a_catalog_that_was_read_is_not_read_again(tmp_path: Path) -> None:
    missing = tmp_path / "no registry"
    assert create_app(Settings(data_dir=tmp_path), registry_dir=missing, catalog=load_catalog(REGISTRY_DIR))
