"""GET /health: open, numbers only."""

from tests.edge.asking import asking
from tests.running import Lectr, call


def test_it_is_open_and_says_numbers_only(lectr: Lectr) -> None:
    answer = call(lectr.port, "GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert all(
        isinstance(value, int | float | bool)
        for name, value in answer.json.items()
        if name not in ("status", "version", "troubles", "database")
    )
    assert answer.json["database"] == ("postgresql" if lectr.settings.database_url else "sqlite")
    assert answer.json["troubles"] == []
    assert answer.header("cache-control") == "no-store"
    assert call(lectr.port, "HEAD", "/health").status == 200


def test_it_counts(lectr: Lectr) -> None:
    before = lectr.health()
    for key in ("plain", None, "plain"):
        lectr.call(body=asking(), key=key)
    after = lectr.health()
    assert after["requests_without_valid_key"] == before["requests_without_valid_key"] + 1
    assert after["ledger_accepted"] == before["ledger_accepted"] + 2
    assert (after["in_flight"], after["unexpected_errors"], after["ledger_lost"]) == (0, 0, 0)
