"""How many statements each page sends to the ledger: a page that asks once per row is caught here, not at a team's."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.console.stage import Stage, Visit

# What was counted when this was written, and one or two more.
AT_MOST = {
    "/": 8,
    "/requests?range=all": 8,
    "/requests?range=all&provider=openai&q=gpt": 10,
    "/requests?range=all&sort=cost": 9,
    "/models": 3,
    "/models/gpt-4o-mini": 4,
    "/recommendations": 5,
    "/detect?model=gpt-4o-mini": 2,
    "/features?range=all": 4,
    "/settings": 7,
}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        # Pages read in these threads, their session aside; what advice, care and writer do meanwhile is done elsewhere.
        a_page_reads = threading.current_thread().name.startswith("ledger-reader") or "FROM sessions" in statement
        if a_page_reads and "FROM changes" not in statement and not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    event.remove(sa.Engine, "before_cursor_execute", note)


def fewest(admin: Visit, path: str, statements: list[str]) -> list[str]:
    """The statements of the quietest of three loads: keys or settings changed elsewhere are read anew too."""
    loads = []
    for _ in range(3):
        statements.clear()
        assert admin.get(path).status_code == 200
        loads.append(list(statements))
    return min(loads, key=len)


@pytest.mark.parametrize("path", AT_MOST)
def test_a_page_needs_few_statements(admin: Visit, statements: list[str], path: str) -> None:
    sent = fewest(admin, path, statements)
    assert 0 < len(sent) <= AT_MOST[path], "\n".join(sent)


def test_a_bill_needs_few_statements(stage: Stage, admin: Visit, statements: list[str]) -> None:
    sent = fewest(admin, f"/requests/{stage.entries[-1].id}?range=all", statements)
    assert 0 < len(sent) <= 8, "\n".join(sent)
