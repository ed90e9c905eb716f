"""How many statements each page sends to the ledger: a page that asks once per row is caught here, not at a team's."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.console.stage import Stage, Visit

# What was counted when this was written, and a few more: the process looks for changes of other processes meanwhile.
AT_MOST = {
    "/": 20,
    "/requests?range=all": 10,
    "/requests?range=all&provider=openai&q=gpt": 12,
    "/requests?range=all&sort=cost": 11,
    "/models": 6,
    "/models/gpt-4o-mini": 6,
    "/recommendations": 8,
    "/detect?model=gpt-4o-mini": 4,
    "/features?range=all": 6,
    "/settings": 9,
}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", AT_MOST)
def test_a_page_needs_few_statements(admin: Visit, statements: list[str], path: str) -> None:
    admin.get(path)
    statements.clear()
    assert admin.get(path).status_code == 200
    assert 0 < len(statements) <= AT_MOST[path], "\n".join(statements)


def test_a_bill_needs_few_statements(stage: Stage, admin: Visit, statements: list[str]) -> None:
    admin.get(f"/requests/{stage.entries[-1].id}?range=all")
    assert 0 < len(statements) <= 8, "\n".join(statements)
