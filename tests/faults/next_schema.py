"""An invented migration of a later version; `next_version` copies this file under the name of each revision it makes.

It does all that "expand only" allows: columns that may be empty, columns with a default, a table, an index. With
LECTR_FAULTS_NEXT=contracting it renames a column instead, which no release may do while the last one runs.
"""

import os
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from app.ledger.schema import REVISIONS

FIRST = 9001
number = int(Path(__file__).stem.removeprefix("m")) if Path(__file__).stem.startswith("m9") else FIRST
revision = f"m{number}"
down_revision = f"m{number - 1}" if number > FIRST else max(known for known in REVISIONS if known < "m9")
branch_labels = None
depends_on = None

EXPANDED = ("requests", "groups", "details", "rollup", "facet_sums", "keys", "users", "sessions", "changes")


def upgrade() -> None:
    """Add to every table that a serving process writes or reads."""
    if os.environ.get("LECTR_FAULTS_NEXT") == "contracting":
        op.execute("ALTER TABLE requests RENAME COLUMN prompt_bytes TO prompt_length")
        return
    for table in EXPANDED:
        op.add_column(table, sa.Column(f"note_{number}", sa.Text()))
        op.add_column(table, sa.Column(f"level_{number}", sa.Integer(), nullable=False, server_default="7"))
    op.create_table(
        f"later_{number}",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("text", sa.String(100), nullable=False, server_default=""),
    )
    op.create_index(f"requests_by_level_{number}", "requests", [f"level_{number}", "id"])
