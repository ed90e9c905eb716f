"""Cost by day of some models at once: what a stacked chart needs, in one question."""

from collections.abc import Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from app.ledger.clock import day_number, day_text
from app.ledger.database import Database
from app.ledger.days import calendar_of
from app.ledger.facet_sums import ABSENT, LOW_BITS, SUMMED_FACETS
from app.ledger.sums import facet_days
from app.ledger.tables import facet_sums
from app.ledger.usage_report import NONE


async def cost_by_day(
    database: Database, models: Sequence[str], *, since: date, until: date, zone: str = "UTC"
) -> dict[str, dict[str, int]]:
    """Per model, named as `usage_by` names it, pico-dollars by day (YYYY-MM-DD); days without a cost are left out.

    `since` is inclusive, `until` exclusive, the zone's days as in `usage_by`.
    """
    stored = {ABSENT if name == NONE else name: name for name in models}
    days = day_number(since), day_number(until - timedelta(days=1))
    c = facet_sums.c

    def work(connection: sa.Connection) -> dict[str, dict[str, int]]:
        calendar, _ = calendar_of(connection, zone)
        query = (
            sa.select(c.value, c.day, c.cost_high, c.cost_low)
            .where(*facet_days(calendar, *days))
            .where(c.facet == SUMMED_FACETS.index("model"), c.value.in_(list(stored)))
        )
        found: dict[str, dict[str, int]] = {name: {} for name in models}
        for value, day, high, low in connection.execute(query):
            if cost := (high << LOW_BITS) + low:
                found[stored[value]][day_text(day)] = cost
        return found

    return await database.read(work)
