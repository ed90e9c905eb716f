"""Ledgers that are full before Lectr starts on them: invented rows, and any number of keys."""

import asyncio
import hashlib
import secrets
from itertools import islice
from pathlib import Path

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from app.demo.traffic import sample_entries
from app.ledger.clock import now_us
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.ledger.tables import keys
from app.settings import Settings

_AT_ONCE = 20_000


def fill_rows(data_dir: Path, rows: int) -> None:
    """A new ledger in `data_dir` with this many rows of the demo's traffic."""

    async def fill() -> None:
        database = await open_database(Settings(data_dir=data_dir))
        entries = sample_entries(load_catalog(REGISTRY_DIR), rows, now_us())
        while some := list(islice(entries, _AT_ONCE)):
            await insert_many(database, some)
        await database.close()

    data_dir.mkdir(mode=0o700, parents=True)
    asyncio.run(fill())


def fill_keys(data_dir: Path, number: int) -> list[str]:
    """A new ledger in `data_dir` with this many keys; returns their secrets."""
    made = [f"lc_key_{secrets.token_hex(16)}" for _ in range(number)]
    rows = [
        {
            "name": f"key-{at}",
            "digest": hashlib.sha256(secret.encode()).digest(),
            "hint": secret[-4:],
            "created_at_us": 1,
        }
        for at, secret in enumerate(made)
    ]

    async def fill() -> None:
        database = await open_database(Settings(data_dir=data_dir))
        await database.write(lambda connection: connection.execute(keys.insert(), rows))
        await database.close()

    data_dir.mkdir(mode=0o700, parents=True)
    asyncio.run(fill())
    return made
