"""Lectr with one of its safeguards taken out: what the harness must call broken.

Run: python -m tests.faults.controls no-spool|no-conflict serve ...
"""

import sys

import sqlalchemy as sa

import app.asgi
import app.ledger.insert
from app.__main__ import main
from app.ledger.dialects import RowInsert


def take_out(safeguard: str) -> None:
    """Change the running program; nothing of this is in the product."""
    if safeguard == "no-spool":
        setattr(app.asgi, "Journal", lambda *_values: None)  # noqa: B010
    elif safeguard == "no-conflict":
        with_conflict = app.ledger.insert._statement

        def without(dialect: sa.Dialect) -> RowInsert:
            insert = with_conflict(dialect)
            insert._text = insert._text.replace("INSERT INTO", "INSERT OR REPLACE INTO").partition(" ON CONFLICT")[0]
            return insert

        setattr(app.ledger.insert, "_statement", without)  # noqa: B010
    else:
        raise SystemExit(f"no such safeguard: {safeguard}")


if __name__ == "__main__":
    take_out(sys.argv.pop(1))
    main()
