"""`GET /api/requests/{id}`: the row itself, with the names of the ledger."""

import pytest

from app.domain import LedgerEntry
from tests.api.serving import Lectr
from tests.api.test_exports import COLUMNS


def test_it_is_the_row_of_the_list(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    listed = lectr.json("/api/requests", limit=3)["requests"]
    for row in listed:
        assert lectr.json(f"/api/requests/{row['id']}") == row
    assert list(listed[0]) == COLUMNS
    assert listed[0]["id"] == entries[0].id


def test_every_column_says_what_the_entry_says(lectr: Lectr, entries: list[LedgerEntry]) -> None:
    for entry in (entries[0], entries[-1], *(row for row in entries if row.feature == "at midnight")):
        row = lectr.json(f"/api/requests/{entry.id}")
        for name in COLUMNS:
            if hasattr(entry, name) and name not in ("usage_json", "flags", "used"):
                assert row[name] == getattr(entry, name), name
        assert (row["flags"], row["used"]) == (list(entry.flags), list(entry.used))


@pytest.mark.parametrize(
    "id",
    [
        "019c63bf-ef68-76ce-ab3d-093673c2f6f0",
        "0",
        "zz",
        "%00",
        "a" * 5000,
        "019c63bf-ef68-76ce-ab3d-093673c2f6f0f",
        "-",
    ],
)
def test_what_is_no_row_is_404(lectr: Lectr, id: str) -> None:
    answer = lectr.admin.get(f"/api/requests/{id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert len(answer.text) < 400
