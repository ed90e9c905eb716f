"""Tables of the advice: daily sums of requests that are priced alike, and what people decided.

A cell is one day of one group and detail within one size class: all its requests lie on the same side of every
threshold that a price can have. A day's `stamp` tells which requests its cells were made of.
"""

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, String, Table, Text

from app.ledger.tables import METADATA, TOKEN_COLUMNS

__all__ = ["LARGEST_COLUMNS", "METADATA", "advice_cells", "advice_days", "advice_decisions"]

LARGEST_COLUMNS = ("most_input", "most_output", "most_context")

advice_days = Table(
    "advice_days",
    METADATA,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("stamp", String(300), nullable=False),
)

advice_cells = Table(
    "advice_cells",
    METADATA,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("detail_id", BigInteger, primary_key=True, autoincrement=False),
    Column("size", SmallInteger, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    Column("cost_high", BigInteger, nullable=False),
    Column("cost_low", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in TOKEN_COLUMNS),
    *(Column(name, BigInteger, nullable=False) for name in LARGEST_COLUMNS),
    sqlite_with_rowid=False,
)

advice_decisions = Table(
    "advice_decisions",
    METADATA,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("recommendation", String(40), nullable=False, index=True),
    Column("decision", String(20), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("decided_at_us", BigInteger, nullable=False),
    Column("snapshot", Text, nullable=False),
)
