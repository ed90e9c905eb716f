"""Rows of four days in which every column that can be empty is empty somewhere, and every filter finds some."""

import random

from app.domain import CostReason, LedgerEntry, Outcome, UsageSource, new_request_id
from app.ledger.clock import DAY_US
from tests.ledger.builders import T0, entry, realistic

ROWS = 1300
"""More than one page of the longest kind, so that exports and paging cross its edge."""


def rows() -> list[LedgerEntry]:
    """The rows, newest first, as the API lists them."""
    rng = random.Random(20261122)
    made = [realistic(T0 + rng.randrange(4 * DAY_US), rng) for _ in range(ROWS - len(_odd_rows()))] + _odd_rows()
    for row in made:
        row.id = new_request_id(row.started_at_us)
        row.finished_at_us = row.started_at_us + row.duration_ms * 1000
    return sorted(made, key=lambda row: row.id, reverse=True)


def _odd_rows() -> list[LedgerEntry]:
    minute = 60_000_000
    return [
        entry(T0 + DAY_US, feature="at midnight"),
        entry(T0 + 2 * DAY_US - 1, feature="before midnight"),
        entry(
            T0 + 3 * minute,
            status=None,
            outcome=Outcome.CLIENT_CLOSED,
            error_source="client",
            billable=False,
            cost_picousd=0,
            price_entry=None,
            ttfb_ms=None,
            usage_source=UsageSource.NONE,
        ),
        entry(
            T0 + 4 * minute,
            provider=None,
            detected_by=None,
            request_model=None,
            response_model=None,
            status=400,
            outcome=Outcome.REJECTED,
            error_code="invalid_request",
            error_source="client",
            billable=False,
            cost_picousd=0,
        ),
        entry(
            T0 + 5 * minute,
            request_model="=HYPERLINK(1)",
            response_model="-1",
            feature='say "hi", twice',
            task="@task",
            flags=("provider_unknown", "price_by_base"),
            used=("tools", "images"),
            cost_picousd=None,
            cost_reason=CostReason.UNKNOWN_MODEL,
            usage_json='{"prompt_tokens":1,"model":"a,b"}',
        ),
        entry(
            T0 + 6 * minute,
            outcome=Outcome.INTERRUPTED,
            usage_source=UsageSource.ESTIMATED,
            feature="Überraschung",
            cost_picousd=1,
        ),
    ]
