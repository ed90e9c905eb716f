"""`lectr reprice`, `backup`, `restore` and `db upgrade`, beside a running server where that is allowed."""

import sqlite3
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.commands.cli import Box, Server, seconds_until

PRICE = {"kind": "price", "provider": "openai", "model": "gpt-house", "rates": {"input_mtok": "2", "output_mtok": "4"}}


@pytest.fixture
def key(served_box: Box, server: Server) -> str:
    made = served_box.key(f"books-{uuid.uuid4().hex[:8]}")
    seconds_until(lambda: server.ask(made).status_code == 200)
    return made


def row_of(server: Server, key: str, model: str) -> dict[str, Any]:
    return server.row(server.ask(key, model))


def test_reprice_prices_what_had_no_price(served_box: Box, server: Server, key: str) -> None:
    row = row_of(server, key, "gpt-house")
    priced = row_of(server, key, "gpt-4o-mini")
    assert (row["cost_picousd"], row["cost_reason"]) == (None, "unknown_model")
    total = server.admin("/api/usage")["total"]
    made = server.admin("/api/overrides", "POST", json=PRICE)
    cost = row["input_tokens"] * 2_000_000 + row["output_tokens"] * 4_000_000
    dry = served_box.ok("reprice", "--dry-run")
    assert "would change" in dry
    assert server.admin(f"/api/requests/{row['id']}") == row
    assert "1 changed: $0 before" in served_box.ok("reprice")
    after = server.admin(f"/api/requests/{row['id']}")
    assert (after["cost_picousd"], after["cost_reason"]) == (cost, None)
    assert after["price_entry"] == f"team:{made['id']}:openai/gpt-house@always"
    assert server.admin(f"/api/requests/{priced['id']}") == priced
    sums = server.admin("/api/usage")["total"]
    assert sums["cost_picousd"] == total["cost_picousd"] + cost
    assert sums["unpriced_requests"] == total["unpriced_requests"] - 1
    assert "0 changed" in served_box.ok("reprice")

    server.admin(f"/api/overrides/{made['id']}", "DELETE")
    dearer = server.admin("/api/overrides", "POST", json={**PRICE, "rates": {"input_mtok": "4", "output_mtok": "8"}})
    assert "0 changed" in served_box.ok("reprice"), "a price once given stays unless all are asked for"
    assert "0 changed" in served_box.ok("reprice", "--all", "--since", "2099-01-01")
    assert "1 changed" in served_box.ok("reprice", "--all", "--since", "2026-01-01")
    assert server.admin(f"/api/requests/{row['id']}")["cost_picousd"] == 2 * cost
    assert server.admin("/api/usage")["total"]["cost_picousd"] == total["cost_picousd"] + 2 * cost
    server.admin(f"/api/overrides/{dearer['id']}", "DELETE")


def test_a_backup_made_while_requests_go_on_restores_elsewhere(
    served_box: Box, server: Server, key: str, tmp_path: Path, upstream: str
) -> None:
    row = row_of(server, key, "gpt-4o-mini")
    file = tmp_path / "copy.db"
    assert served_box.ok("backup", str(file)).strip() == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists already" in served_box.refused("backup", str(file))
    other = Box(tmp_path, upstream)
    said = other.ok("restore", str(file))
    assert "Restored: " in said
    assert "kept" not in said, "nothing was there"
    assert f"kept as {other.data / 'lectr.db.before-restore'};" in other.ok("restore", str(file))
    with other.serve() as restored:
        assert restored.admin(f"/api/requests/{row['id']}") == row
        assert restored.ask(key).status_code == 200
        assert "stop Lectr first" in other.refused("restore", str(file))


def test_without_a_name_the_backup_goes_to_the_data_folder(served_box: Box, server: Server) -> None:
    file = Path(served_box.ok("backup").strip())
    assert file.parent == served_box.data / "backups"
    assert file.name.startswith("lectr-2")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_what_is_no_ledger_is_not_restored(box: Box) -> None:
    file = box.folder / "notes.txt"
    file.write_text("no ledger")
    box.refused("restore", str(file))
    assert box.run("restore", str(box.folder / "nowhere.db")).returncode == 2


def test_upgrade_makes_the_schema_and_can_be_repeated(box: Box) -> None:
    for _ in range(2):
        assert "schema" in box.ok("db", "upgrade")
    assert (box.data / "lectr.db").exists()
