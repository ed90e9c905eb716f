"""Advice: daily sums of requests that are priced alike, and what people decided."""

import sqlalchemy as sa
from alembic import op

revision = "m0002"
down_revision = "m0001"
branch_labels = None
depends_on = None

TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
)
LARGEST = ("most_input", "most_output", "most_context")


def upgrade() -> None:
    """Three new tables; nothing that is there is touched."""
    op.create_table(
        "advice_days",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("stamp", sa.String(300), nullable=False),
    )
    op.create_table(
        "advice_cells",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("group_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("detail_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("size", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("cost_high", sa.BigInteger(), nullable=False),
        sa.Column("cost_low", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*TOKENS, *LARGEST)),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "advice_decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("recommendation", sa.String(40), nullable=False),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("decided_at_us", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
    )
    op.create_index("ix_advice_decisions_recommendation", "advice_decisions", ["recommendation"])
