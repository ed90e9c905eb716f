"""What `lectr doctor` reads of a ledger: schema, spool folder, and requests whose row is not there yet."""

from pathlib import Path

import msgspec
import pytest

from app.ledger.database import Database
from app.ledger.insert import insert_many
from app.ledger.schema import HEAD
from app.ledger.spool_format import END, START, frame
from app.ledger.waiting import schema_in_use, try_spool, waiting_in_spool
from app.settings import Settings
from tests.ledger.builders import entry

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]


async def test_schema_and_requests_without_a_row(database: Database, settings: Settings, tmp_path: Path) -> None:
    assert await schema_in_use(database) == HEAD
    spool = tmp_path / "spool"
    assert await waiting_in_spool(database, spool) == 0
    assert try_spool(spool) > 0
    assert list(spool.iterdir()) == []
    entries = [entry() for _ in range(5)]
    await insert_many(database, entries[:2])
    ends = b"".join(frame(END, msgspec.msgpack.encode(one)) for one in entries[:4])
    unreadable = frame(END, b"\xc1") + frame(END, msgspec.msgpack.encode(entries[4]), version=9)
    (spool / "a-1-000001.seg").write_bytes(ends + frame(START, b"") + unreadable + bytes(1000))
    (spool / "a-1-000000.done").write_bytes(frame(END, msgspec.msgpack.encode(entries[4])))
    assert await waiting_in_spool(database, spool) == 2
    (spool / "a-1-000002.parked").write_bytes(ends)
    assert await waiting_in_spool(database, spool) == 2, "each request counts once"
