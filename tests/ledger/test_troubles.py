"""Each step of the ladder has a sentence and a code, and only what needs a look makes Lectr `degraded`."""

from typing import Any

import msgspec
import pytest

from app.ledger.care import CareFigures
from app.ledger.setting_aside import SetAside
from app.ledger.troubles import troubles
from app.ledger.writer import WriterCounters
from tests.ledger.builders import T0

WELL = WriterCounters(accepted=5, written=5, waiting=0, parked=0, lost=0, oldest_waiting_s=0.0)
CARE = CareFigures(database="SQLite /data/lectr.db")


@pytest.mark.parametrize(
    ("code", "grave", "counted", "words"),
    [
        ("lost", True, {"lost": 3}, "3 rows were lost"),
        (
            "spool_failed",
            True,
            {"spool_error": "No space left", "spool_unwritten": 1200},
            "1,200 records are in memory",
        ),
        ("database_failed", True, {"last_error": "database is locked", "waiting": 7}, "database is locked"),
        ("behind", False, {"oldest_waiting_s": 9.2, "waiting": 7}, "9 s behind"),
        ("parked", True, {"parked": 1}, "parked"),
        ("spool_damaged", True, {"spool_damaged": 2}, "unreadable"),
        ("spool_unread", True, {"spool_unread": 2}, "another version"),
        ("replaying", False, {"replaying": 2000}, "2,000 records"),
    ],
)
def test_a_step_is_told(code: str, grave: bool, counted: dict[str, Any], words: str) -> None:
    [trouble] = troubles(msgspec.structs.replace(WELL, **counted), CARE)
    assert (trouble.code, trouble.grave) == (code, grave)
    assert words in trouble.sentence


def test_nothing_is_told_where_all_is_well() -> None:
    assert troubles(WELL, CARE) == []


def test_a_slow_spool_is_told_unless_it_fails_altogether() -> None:
    slow = msgspec.structs.replace(CARE, slow=True)
    assert [one.code for one in troubles(WELL, slow)] == ["spool_slow"]
    failed = msgspec.structs.replace(WELL, spool_error="gone")
    assert [one.code for one in troubles(failed, slow)] == ["spool_failed"]


def test_a_replaced_database_is_told_with_what_was_saved_and_what_was_not() -> None:
    report = SetAside(
        file="lectr.db.corrupt-1", at_us=T0, reason="x", saved={"keys": 2, "team_values": 1}, incomplete=["users"]
    )
    sentences = []
    for changed in ({}, {"searched": True, "rows": 1000}, {"searched": True, "rows": 900, "gaps": 2}):
        care = msgspec.structs.replace(CARE, set_aside=(msgspec.structs.replace(report, **changed),))
        [trouble] = troubles(WELL, care)
        assert (trouble.code, trouble.grave) == ("set_aside", True)
        sentences.append(trouble.sentence)
    assert all("2 keys, 1 team values" in one and "Not all of users" in one for one in sentences)
    assert "being read" in sentences[0]
    assert "1,000 requests were read from it, none was missed" in sentences[1]
    assert "2 parts could not be" in sentences[2]
