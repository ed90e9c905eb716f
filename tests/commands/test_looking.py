"""`lectr detect` and `lectr registry`: what Lectr knows, and what a newer list would change."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.commands.cli import lectr
from app.commands.looking import registry
from tests.commands.cli import ROOT, Box, Server, seconds_until


def newer_list(folder: Path, **prices: str) -> Path:
    """A price list of a later day with these models more."""
    document: dict[str, Any] = json.loads((ROOT / "registry" / "prices.json").read_bytes())
    document["generated_on"] = "2026-12-05"
    for model, rate in prices.items():
        rates = {"input_mtok": rate, "output_mtok": rate}
        document["models"].append({"provider": "openai", "id": model, "prices": [{"rates": rates}]})
    file = folder / "newer.json"
    file.write_text(json.dumps(document))
    return file


def test_detect_says_provider_rule_and_price(box: Box) -> None:
    said = box.ok("detect", "gpt-4o", "openai/gpt-oss-120b", "claude-next", "nobody-knows", "gpt-4o-2099-01-01")
    lines = [line.split("\t") for line in said.splitlines()]
    assert [line[:3] for line in lines] == [
        ["gpt-4o", "openai", "exact"],
        ["openai/gpt-oss-120b", "groq", "exact"],
        ["claude-next", "anthropic", "prefix"],
        ["nobody-knows", "unknown", "default"],
        ["gpt-4o-2099-01-01", "openai", "prefix"],
    ]
    assert lines[0][3] == "$2.5 in, $10 out per million tokens"
    assert lines[2][3].startswith("no price")
    assert lines[4][3] == lines[0][3] + "  (price of the undated name)"
    assert not box.data.exists(), "looking must not make a data folder"


def test_detect_knows_the_teams_own_prices(served_box: Box, server: Server) -> None:
    rates = {"input_mtok": "7", "output_mtok": "8"}
    body = {"kind": "price", "provider": "openai", "model": "gpt-team", "rates": rates}
    made = server.admin("/api/overrides", "POST", json=body)
    assert "$7 in, $8 out" in served_box.ok("detect", "gpt-team")
    server.admin(f"/api/overrides/{made['id']}", "DELETE")
    assert "no price" in served_box.ok("detect", "gpt-team")


def test_the_registry_of_the_tree_is_in_order(box: Box) -> None:
    assert box.ok("registry", "check").startswith("The registry is in order: ")


def test_a_fault_in_the_registry_is_named_with_its_file(box: Box, broken_tree: Path) -> None:
    done = box.start("registry", "check", root=str(broken_tree))
    assert done.returncode == 1
    assert "models/openai.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_diff_shows_what_is_new(box: Box) -> None:
    newer = newer_list(box.folder, **{"gpt-7": "3"})
    assert any("gpt-7" in line for line in box.ok("registry", "diff", str(newer)).splitlines())


@pytest.mark.parametrize("name", ["diff", "refresh"])
def test_without_the_price_package_it_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    done = CliRunner().invoke(registry, [name])
    assert done.exit_code == 1
    assert "genai-prices is not installed; `make setup-dev` installs it" in done.output


def test_an_imported_list_is_in_force_in_a_running_server(served_box: Box, server: Server) -> None:
    def price() -> Any:
        return server.admin("/api/detect", params={"model": "gpt-8-imported"})["price"]

    assert price() is None
    said = served_box.ok("registry", "import", str(newer_list(served_box.folder, **{"gpt-8-imported": "3"})))
    assert "2026-12-05" in said
    assert "-m app reprice" in said
    assert seconds_until(lambda: price() is not None) < 1.0
    assert price()["input_usd_per_mtok"] == "3"
    assert server.admin("/api/self-check")["price_list_date"] == "2026-12-05"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"generated_on": "2020-01-01", "models": []}'], ids=str)
def test_a_list_that_cannot_be_used_is_refused(box: Box, content: bytes) -> None:
    file = box.folder / "bad.json"
    file.write_bytes(content)
    box.refused("registry", "import", str(file))


@pytest.mark.parametrize("name", ["diff", "import"])
def test_a_file_that_is_no_list_is_named_as_it_was_given(box: Box, name: str) -> None:
    file = box.folder / "notes.md"
    file.write_text("# Notes")
    said = box.refused("registry", name, str(file))
    assert said.startswith(f"lectr: {file} is no price list: ")
    assert "registry/prices.json of a newer Lectr is one" in said
    document = json.loads((ROOT / "registry" / "prices.json").read_bytes())
    document["models"][0]["id"] = "No Name"
    file.write_text(json.dumps(document))
    assert box.refused("registry", name, str(file)).startswith(f"lectr: {file}: models[0]: 'No Name' is no model name")


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_no_model_of_nobody(box: Box, name: str) -> None:
    assert "a model name is empty" in box.refused("detect", "gpt-4o", name)


def test_the_list_of_commands_cuts_no_sentence() -> None:
    shown = CliRunner().invoke(lectr, ["--help"], terminal_width=80).output
    commands = shown.partition("Commands:")[2]
    assert "recommend" in commands
    assert "..." not in commands
