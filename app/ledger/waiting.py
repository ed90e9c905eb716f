"""What `lectr doctor` reads off a ledger that another process may be writing: its schema, and its spool."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import sqlalchemy as sa

from app.ledger.clock import id_bytes
from app.ledger.database import Database
from app.ledger.spool_files import LIVE, PARKED, SEGMENT_BYTES, segments
from app.ledger.spool_format import END, read_segment
from app.ledger.tables import requests

_LOOKED_UP_AT_ONCE = 500


class _Ended(msgspec.Struct):
    """As much of a LedgerEntry as is needed to find its row."""

    id: str


_read_ended = msgspec.msgpack.Decoder(_Ended).decode


async def schema_in_use(database: Database) -> str:
    """The revision that the database is at. Raises LedgerError."""
    query = "SELECT version_num FROM alembic_version"
    return await database.read(lambda connection: str(connection.exec_driver_sql(query).scalar_one()))


def try_spool(folder: Path) -> int:
    """Write into the folder of the spool as it will be written; returns the free bytes there. Raises OSError.

    The folder is made where it is missing.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, SEGMENT_BYTES)
    return shutil.disk_usage(folder).free


async def waiting_in_spool(database: Database, folder: Path) -> int:
    """How many requests have ended and have no row in the database yet. Raises LedgerError, OSError."""
    waiting: set[str] = set()
    for path in await asyncio.to_thread(segments, folder, LIVE, PARKED):
        # It may have been dealt with meanwhile, and have another name.
        with contextlib.suppress(FileNotFoundError):
            ended = await asyncio.to_thread(_ended_in, path)
            for start in range(0, len(ended), _LOOKED_UP_AT_ONCE):
                some = ended[start : start + _LOOKED_UP_AT_ONCE]
                waiting |= set(some) - await _written(database, some)
    return len(waiting)


def _ended_in(path: Path) -> list[str]:
    ended = []
    for record in read_segment(path.read_bytes()).records:
        if record.known and record.kind == END:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                ended.append(_read_ended(record.body).id)
    return ended


async def _written(database: Database, ids: list[str]) -> set[str]:
    by_bytes = {id_bytes(text): text for text in ids}
    query = sa.select(requests.c.id).where(requests.c.id.in_(by_bytes))
    found = await database.read(lambda connection: list(connection.execute(query).scalars()))
    return {by_bytes[bytes(one)] for one in found}
