"""Keys, users, sessions, links and team settings, and that other processes see their changes."""

import asyncio
import re
import threading
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import ConflictError, LedgerError, NotFoundError
from app.ledger import sessions as sessions_module
from app.ledger import users as users_module
from app.ledger.advice_tables import METADATA
from app.ledger.changes import ChangeFeed
from app.ledger.clock import now_us
from app.ledger.database import READERS, Database, open_database
from app.ledger.insert import insert_many
from app.ledger.keys import KeyStore
from app.ledger.reports import usage_by
from app.ledger.sessions import SessionStore
from app.ledger.team import TeamStore
from app.ledger.users import UserStore
from app.settings import Settings
from tests.ledger.builders import T0, entry
from tests.ledger.locking import lock

pytestmark = [pytest.mark.anyio, pytest.mark.any_database]


async def everything_stored(database: Database) -> bytes:
    if database.path is None:
        tables = METADATA.sorted_tables
        rows = await database.read(lambda connection: [list(connection.execute(sa.select(table))) for table in tables])
        return repr(rows).encode()
    wal = Path(f"{database.path}-wal")
    return database.path.read_bytes() + (wal.read_bytes() if wal.exists() else b"")


async def test_a_key_is_found_until_it_is_revoked_and_its_secret_is_not_kept(database: Database) -> None:
    keys = KeyStore(database)
    assert not keys.ready
    await keys.load()
    assert keys.ready
    secret, row = await keys.create("backend", provider="azure", feature="chat", requests_per_minute=60, streams=3)
    assert re.fullmatch(r"lc_key_[A-Za-z0-9]{32}", secret)
    assert row.hint == secret[-4:]
    found = keys.find(secret)
    assert found is not None
    assert (found.id, found.name, found.default_provider, found.default_feature) == (row.id, "backend", "azure", "chat")
    assert (found.requests_per_minute, found.concurrent_streams) == (60, 3)
    assert keys.find(secret + "x") is None
    assert keys.find("\ud800") is None
    assert secret.encode() not in await everything_stored(database)
    await keys.revoke("backend")
    assert keys.find(secret) is None
    assert [key.revoked_at_us is not None for key in await keys.list()] == [True]
    with pytest.raises(NotFoundError):
        await keys.revoke("backend")


async def test_a_key_name_is_used_once(database: Database) -> None:
    keys = KeyStore(database)
    await keys.create("a")
    with pytest.raises(ConflictError, match="exists already"):
        await keys.create(" a ")
    await keys.revoke("a")
    with pytest.raises(ConflictError, match="was revoked"):
        await keys.create("a")
    for bad in ("", "  ", "x" * 101, "a\nb", "a\x1b[31m"):
        with pytest.raises(ConflictError, match="1 to 100 printable"):
            await keys.create(bad)


async def test_last_use_is_kept_lazily(database: Database) -> None:
    keys = KeyStore(database)
    _, row = await keys.create("a")
    keys.used(row.id, 5)
    assert (await keys.list())[0].last_used_at_us == 5
    await keys.flush_used()
    keys.used(row.id, 3)
    await keys.flush_used()
    assert (await KeyStore(database).list())[0].last_used_at_us == 5


async def test_another_process_stops_a_revoked_key_within_a_second(settings: Settings) -> None:
    here, there = await open_database(settings), await open_database(settings)
    feed = ChangeFeed(there)
    seen, team = KeyStore(there, feed), TeamStore(there, feed)
    feed.start()
    keys = KeyStore(here)
    secret, _ = await keys.create("a")

    async def within_a_second(holds: object) -> None:
        until = time.monotonic() + 1.0
        while not holds():  # type: ignore[operator]
            assert time.monotonic() < until
            await asyncio.sleep(0.01)

    await within_a_second(lambda: seen.find(secret) is not None)
    await keys.revoke("a")
    await within_a_second(lambda: seen.find(secret) is None)
    await TeamStore(here).set("azure_endpoint", "https://x.openai.azure.com")
    await within_a_second(lambda: team.values.azure_endpoint == "https://x.openai.azure.com")
    await feed.stop()
    await here.close()
    await there.close()


async def test_a_glance_sees_what_others_have_written_and_never_a_file_that_is_gone(settings: Settings) -> None:
    here, there = await open_database(settings), await open_database(settings)
    query = "SELECT name FROM keys"
    assert list(await there.glance(query)) == []
    await KeyStore(here).create("a")
    assert [tuple(row) for row in await there.glance(query)] == [("a",)]
    with pytest.raises(LedgerError, match="could not be read"):
        await there.glance("SELECT 1 FROM nothing")
    if here.path is not None:
        await here.close()
        here.path.unlink()
        await KeyStore(there).create("b")
        assert ("b",) in [tuple(row) for row in await there.glance(query)]
        reopening = asyncio.ensure_future(there._engines._disconnect())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        assert ("b",) in [tuple(row) for row in await there.glance(query)]
        await reopening
    else:
        await here.close()
    await there.close()


async def test_the_feed_outlives_a_database_that_cannot_be_read(database: Database) -> None:
    feed = ChangeFeed(database, poll_s=0.01)
    keys = KeyStore(database, feed)
    secret, _ = await keys.create("a")
    await database.write(lambda connection: connection.exec_driver_sql("ALTER TABLE changes RENAME TO gone"))
    assert await feed.poll() == []
    assert keys.find(secret) is not None
    await database.write(lambda connection: connection.exec_driver_sql("ALTER TABLE gone RENAME TO changes"))
    assert sorted(await feed.poll()) == ["keys", "team"]
    assert await feed.poll() == []


async def test_passwords_are_checked_and_not_kept(database: Database) -> None:
    users = UserStore(database)
    assert await users.count() == 0
    made = await users.create("ada", "correct horse")
    assert await users.check("ada", "correct horse") == made
    assert await users.check("ada", "wrong horse") is None
    assert await users.check("nobody", "correct horse") is None
    assert await users.check("ada", "") is None
    assert b"correct horse" not in await everything_stored(database)
    assert b"$argon2id$" in await everything_stored(database)
    with pytest.raises(ConflictError):
        await users.create("ada", "x")
    for name, password, role in (
        ("", "x", "admin"),
        ("b", "", "admin"),
        ("b", "x", "root"),
        ("b", "x" * 1001, "admin"),
    ):
        with pytest.raises(ConflictError):
            await users.create(name, password, role)
    await users.set_password("ada", "new")
    assert await users.check("ada", "correct horse") is None
    assert await users.check("ada", "new") == made
    await users.delete("ada")
    assert await users.list() == []
    with pytest.raises(NotFoundError):
        await users.set_password("ada", "x")


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(database: Database) -> None:
    users = UserStore(database)
    await users.create("ada", "x")
    await users.check("nobody", "y")

    async def best(name: str) -> float:
        times = []
        for _ in range(9):
            begun = time.perf_counter()
            await users.check(name, "y")
            times.append(time.perf_counter() - begun)
        return min(times)

    known, unknown = await best("ada"), await best("nobody")
    assert 0.5 < known / unknown < 2


async def test_a_session_lives_until_it_is_idle_old_or_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, sessions = UserStore(database), SessionStore(database)
    user = await users.create("ada", "x", "viewer")
    begun = now_us()
    hour = 3600 * 1_000_000
    moment = [begun]
    monkeypatch.setattr(sessions_module, "now_us", lambda: moment[0])
    token = await sessions.create(user.id)
    assert token.encode() not in await everything_stored(database)
    for passed in (11, 22, 33):
        moment[0] = begun + passed * hour
        found = await sessions.get(token)
        assert found is not None
        assert (found.user_id, found.name, found.role) == (user.id, "ada", "viewer")
    moment[0] += 12 * hour
    assert await sessions.get(token) is None
    kept = await sessions.create(user.id)
    start = moment[0]
    for passed in range(0, 168, 8):
        moment[0] = start + passed * hour
        assert await sessions.get(kept) is not None
    moment[0] = start + 168 * hour
    assert await sessions.get(kept) is None
    one, two = await sessions.create(user.id), await sessions.create(user.id)
    await sessions.end(one)
    assert await sessions.get(one) is None
    await users.set_password("ada", "y")
    assert await sessions.get(two) is None
    three = await sessions.create(user.id)
    await sessions.end_all(user.id)
    assert await sessions.get(three) is None
    assert await sessions.get("\0") is None


async def test_a_link_signs_in_once_within_a_quarter_of_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = UserStore(database)
    user = await users.create("ada", "x")
    link = await users.create_link("ada")
    assert link.encode() not in await everything_stored(database)
    both = await asyncio.gather(users.redeem_link(link), users.redeem_link(link))
    assert sorted(both, key=lambda found: found is None) == [user, None]
    late = await users.create_link("ada")
    monkeypatch.setattr(users_module, "now_us", lambda: now_us() + 15 * 60 * 1_000_000)
    assert await users.redeem_link(late) is None
    with pytest.raises(NotFoundError):
        await users.create_link("nobody")


async def test_team_values_are_checked_and_taken_back(database: Database) -> None:
    team = TeamStore(database)
    await team.load()
    assert (team.values.reporting_zone, team.values.azure_endpoint, team.values.retention_days) == ("UTC", None, None)
    await team.set("retention_days", 30)
    await team.set("azure_api_version", "2024-10-21")
    fresh = TeamStore(database)
    await fresh.load()
    assert fresh.values == team.values
    assert (team.values.retention_days, team.values.azure_api_version) == (30, "2024-10-21")
    await team.set("azure_api_version", "")
    assert team.values.azure_api_version is None
    for name, value in (
        ("zone", "x"),
        ("reporting_zone", "Mars/Base"),
        ("reporting_zone", "../etc"),
        ("retention_days", 0),
    ):
        with pytest.raises(ConflictError):
            await team.set(name, value)


async def test_a_new_zone_has_its_days_and_the_old_ones_are_gone(database: Database) -> None:
    team = TeamStore(database)
    await insert_many(database, [entry(T0), entry(T0 + 23 * 3600 * 1_000_000)])
    await team.set("reporting_zone", "Asia/Tokyo")
    assert [row.group for row in (await usage_by(database, "day", zone="Asia/Tokyo")).rows] == [
        "2026-02-16",
        "2026-02-17",
    ]
    await team.set("reporting_zone", "America/New_York")
    days = [row.group for row in (await usage_by(database, "day", zone="America/New_York")).rows]
    assert days == ["2026-02-15", "2026-02-16"]
    assert (await usage_by(database, "day", zone="Asia/Tokyo")).zone == "America/New_York"
    with pytest.raises(ValueError, match="no time zone"):
        await usage_by(database, "day", zone="Mars/Base")
    await team.set("reporting_zone", None)
    kept = await database.read(
        lambda connection: connection.exec_driver_sql("SELECT DISTINCT calendar FROM rollup").all()
    )
    assert [tuple(row) for row in kept] == [(0,)]


async def test_overrides_and_price_list_come_back_exactly(database: Database) -> None:
    team = TeamStore(database)
    rates = {"input_mtok": Decimal("0.1"), "output_mtok": Decimal("1E-7")}
    added = await team.add_override("price", "groq", "m", rates=rates, starts=date(2026, 1, 2), note="seen")
    alias = await team.add_override("alias", "openai", "gpt-4o", alias="our-model")
    assert await team.list_overrides() == [added, alias] == list(team.overrides)
    assert dict(added.rates) == rates
    assert added.starts == date(2026, 1, 2)
    with pytest.raises(ConflictError):
        await team.add_override("alias", "openai", "gpt-4o", alias="our-model")
    with pytest.raises(ConflictError):
        await team.add_override("wish", "openai", "gpt-4o")
    await team.delete_override(added.id)
    with pytest.raises(NotFoundError):
        await team.delete_override(added.id)
    await team.set_price_list(b"\x00{}")
    assert team.price_list == b"\x00{}"
    await team.set_price_list(None)
    assert team.price_list is None


async def test_a_busy_database_is_waited_for(database: Database, settings: Settings) -> None:
    free = await lock(database, settings)
    task = asyncio.create_task(KeyStore(database).create("a"))
    await asyncio.sleep(1)
    assert not task.done()
    await free()
    secret, _ = await asyncio.wait_for(task, 5)
    assert secret


@pytest.mark.sqlite_only
async def test_keys_and_settings_are_looked_up_while_pages_keep_every_reader_busy(settings: Settings) -> None:
    database = await open_database(settings)
    try:
        store = KeyStore(database)
        await store.create("first")
        begun, gate = threading.Barrier(READERS + 1), threading.Event()

        def long_page(_connection: sa.Connection) -> None:
            begun.wait(20)
            gate.wait(20)

        pages = [asyncio.ensure_future(database.read(long_page)) for _ in range(READERS)]
        await asyncio.to_thread(begun.wait, 20)
        async with asyncio.timeout(10):
            await store.load()
            await TeamStore(database).load()
        assert not any(page.done() for page in pages)
        gate.set()
        await asyncio.gather(*pages)
    finally:
        await database.close()
