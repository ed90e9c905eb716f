"""Fills the demo's ledger: a month of rows and the keys they name."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from app.catalog.catalog import Catalog
from app.demo.folder import Plan, keep_plan
from app.demo.traffic import KEYS, sample_entries
from app.errors import ConflictError
from app.ledger.database import Database
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore

_AT_ONCE = 20_000
_DEFAULT_PROVIDERS = {"azure-eu": "azure"}
_MOST_VISITORS = 10_000


async def build(
    database: Database, catalog: Catalog, folder: Path, plan: Plan, progress: Callable[[int], None] | None = None
) -> int:
    """Write the plan's rows, those that are there already left out; returns how many were new.

    `progress` is told how many rows are done, every 20,000. Raises LedgerError, OSError.
    """
    if plan.complete:
        return 0
    entries = sample_entries(catalog, plan.rows, plan.now_us, plan.seed)
    new = done = 0
    while some := list(islice(entries, _AT_ONCE)):
        new += await insert_many(database, some)
        done += len(some)
        if progress is not None:
            progress(done)
    keep_plan(folder, msgspec.structs.replace(plan, complete=True))
    return new


async def make_keys(keys: KeyStore) -> str:
    """Make the keys that the sample rows name, where they are missing, and one for the visitor; returns its secret."""
    for name in KEYS:
        try:
            await keys.create(name, provider=_DEFAULT_PROVIDERS.get(name))
        except ConflictError:
            continue
    for number in range(1, _MOST_VISITORS):
        try:
            secret, _ = await keys.create("visitor" if number == 1 else f"visitor-{number}")
        except ConflictError:
            continue
        return secret
    raise ConflictError("this demo has had too many visitors; remove its folder to build it anew")
