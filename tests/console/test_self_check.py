"""The banner on every page and the self-check: what is wrong with the ledger, in words, and that the figures add up."""

import re
import sys
from pathlib import Path

import pytest

from app.ledger import troubles as troubles_module
from app.ledger.setting_aside import SetAside
from tests.console.stage import Stage, Visit


def test_the_self_check_adds_up_and_tells_the_state_of_the_box(admin: Visit) -> None:
    page = admin.get("/settings/self-check").text
    found = re.search(
        r"([\d,]+) requests accepted = ([\d,]+) rows written \+ (\d+) waiting \+ 0 parked \+ 0 lost", page
    )
    assert found is not None
    assert "does not add up" not in page
    for words in ("SQLite", "Last backup", "Looked through for damage", "Oldest waiting", "Lectr's own part"):
        assert words in page


def test_a_viewer_may_look_too_and_strangers_may_not(viewer: Visit, stage: Stage) -> None:
    assert viewer.get("/settings/self-check").status_code == 200


def test_no_page_has_a_banner_while_all_is_well(admin: Visit) -> None:
    assert "State of the ledger" not in admin.get("/settings").text


def test_every_page_tells_of_a_damaged_database(fresh: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = SetAside(
        file="lectr.db.corrupt-<1>", at_us=0, reason="x", saved={"keys": 2}, incomplete=["users"], searched=True
    )
    sentence = troubles_module._about(report)
    trouble = troubles_module.Trouble("set_aside", sentence)
    monkeypatch.setattr(sys.modules["app.console.page"], "troubles", lambda *_: [trouble])
    visit = fresh.visit("admin")
    for path in ("/", "/requests", "/models", "/settings", "/settings/self-check"):
        page = visit.get(path).text
        assert 'aria-label="State of the ledger"' in page
        assert "Not all of users could be read there." in page
        assert "lectr.db.corrupt-&lt;1&gt;" in page
