"""What people decided about recommendations: every accept and dismiss is kept, the newest one counts."""

import msgspec
import sqlalchemy as sa

from app.ledger.advice_tables import advice_decisions
from app.ledger.database import Database
from app.ledger.storable import storable

ACCEPT, DISMISS = "accept", "dismiss"
MAX_REASON = 500


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`snapshot` is JSON text of what was shown when it was decided."""

    recommendation: str
    decision: str
    reason: str
    decided_at_us: int
    snapshot: str


async def add_decision(database: Database, decision: Decision) -> None:
    """Keep a decision. Raises LedgerError."""
    values = msgspec.structs.asdict(decision) | {"reason": storable(decision.reason, MAX_REASON)}
    await database.write(lambda connection: connection.execute(advice_decisions.insert(), [values]) and None)


async def latest_decisions(database: Database) -> dict[str, Decision]:
    """The newest decision by recommendation. Raises LedgerError."""
    c = advice_decisions.c
    query = sa.select(c.recommendation, c.decision, c.reason, c.decided_at_us, c.snapshot).order_by(c.id)

    def work(connection: sa.Connection) -> dict[str, Decision]:
        return {row.recommendation: Decision(**row._mapping) for row in connection.execute(query)}

    return await database.read(work)
