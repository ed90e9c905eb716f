"""What the team has set in the console: Azure's address, the reporting zone, overrides, an imported price list."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from app.catalog.schema import Override
from app.errors import ConflictError, NotFoundError
from app.ledger.calendar_build import build_calendars, replace_calendar
from app.ledger.changes import TEAM, ChangeFeed, announce
from app.ledger.clock import now_us, zone_named
from app.ledger.database import Database
from app.ledger.storable import storable
from app.ledger.tables import overrides, team_files, team_values

PRICE_LIST = "prices.json"


class TeamValues(msgspec.Struct, frozen=True):
    """The values set in the console; None: not set there. `retention_days` None keeps rows for ever."""

    azure_endpoint: str | None = None
    azure_api_version: str | None = None
    reporting_zone: str = "UTC"
    retention_days: int | None = None


class TeamStore:
    """Values, overrides and price list as they were last read; `load` runs again when another process changes them."""

    def __init__(self, database: Database, feed: ChangeFeed | None = None) -> None:
        self.values = TeamValues()
        self.overrides: tuple[Override, ...] = ()
        self.price_list: bytes | None = None
        self._database = database
        if feed is not None:
            feed.subscribe(TEAM, self.load)

    async def load(self) -> None:
        """Read everything. Raises LedgerError; what was known before then stays."""
        self.values, self.overrides, self.price_list = await self._database.look(_read)
        # A rebuild for a new zone that was cut off is taken up again; usually there is nothing to do.
        await build_calendars(self._database)

    def recall(self, connection: sa.Connection) -> None:
        """Take what this connection shows, a copy, until the database can be read."""
        self.values, self.overrides, self.price_list = _read(connection)

    async def set(self, name: str, value: str | int | None) -> None:
        """Set one field of TeamValues; None or an empty text takes it back.

        A new reporting zone has all days summed anew before this returns (about 13 s for a million rows).
        Raises ConflictError with a sentence for a name or value that cannot be.
        """
        text = _checked(name, value)

        def work(connection: sa.Connection) -> None:
            connection.execute(team_values.delete().where(team_values.c.name == name))
            if text is not None:
                connection.execute(team_values.insert(), {"name": name, "value": text})
            if name == "reporting_zone":
                replace_calendar(connection, text or "UTC")
            announce(connection, TEAM)

        await self._database.write(work)
        await self.load()

    async def list_overrides(self) -> list[Override]:
        """All overrides in the order they were made."""
        return await self._database.read(lambda connection: list(_overrides(connection)))

    async def add_override(
        self,
        kind: str,
        provider: str,
        model: str,
        *,
        alias: str | None = None,
        rates: Mapping[str, Decimal] | None = None,
        starts: date | None = None,
        note: str = "",
    ) -> Override:
        """Add an alias or a price. Whether it makes sense is the catalog's to say, before this is called.

        Raises ConflictError for a kind that is none or an override that exists.
        """
        if kind not in ("alias", "price"):
            raise ConflictError(f"kind {kind[:40]!r}: write alias or price")
        values = {
            "kind": kind,
            "provider": storable(provider, 100),
            "model": storable(model, 200),
            "alias": None if alias is None else storable(alias, 200),
            "rates": msgspec.json.encode({unit: str(rate) for unit, rate in (rates or {}).items()}).decode(),
            "starts": None if starts is None else starts.isoformat(),
            "note": storable(note, 300),
        }

        def work(connection: sa.Connection) -> Override:
            for known in _overrides(connection):
                same = (known.kind, known.provider, known.model, known.alias, known.starts)
                if same == (kind, values["provider"], values["model"], values["alias"], starts):
                    raise ConflictError(f"override {known.id} says this already; delete it first")
            connection.execute(overrides.insert(), values)
            announce(connection, TEAM)
            return _overrides(connection)[-1]

        added = await self._database.write(work)
        await self.load()
        return added

    async def delete_override(self, id: int) -> None:
        """Remove an override. Raises NotFoundError."""

        def work(connection: sa.Connection) -> None:
            if connection.execute(overrides.delete().where(overrides.c.id == id)).rowcount == 0:
                raise NotFoundError(f"there is no override {id}")
            announce(connection, TEAM)

        await self._database.write(work)
        await self.load()

    async def set_price_list(self, content: bytes | None) -> None:
        """Keep an imported price list, or forget it (None). The caller has checked that it is one."""
        row = {"name": PRICE_LIST, "content": content, "stored_at_us": now_us()}

        def work(connection: sa.Connection) -> None:
            connection.execute(team_files.delete().where(team_files.c.name == PRICE_LIST))
            if content is not None:
                connection.execute(team_files.insert(), row)
            announce(connection, TEAM)

        await self._database.write(work)
        await self.load()


def _checked(name: str, value: str | int | None) -> str | None:
    if name not in TeamValues.__struct_fields__:
        raise ConflictError(f"{name[:40]!r} is no team setting")
    text = None if value is None else storable(str(value).strip(), 1000)
    if not text:
        return None
    if name == "reporting_zone":
        try:
            zone_named(text)
        except ValueError as error:
            raise ConflictError(str(error)) from None
    if name == "retention_days" and not (text.isascii() and text.isdigit() and 1 <= int(text) <= 36_500):
        raise ConflictError(f"retention_days {text[:40]!r}: write a number of days from 1 to 36500, or nothing")
    return text


def _read(connection: sa.Connection) -> tuple[TeamValues, tuple[Override, ...], bytes | None]:
    rows = connection.execute(sa.select(team_values.c.name, team_values.c.value))
    found: dict[str, Any] = {name: value for name, value in rows if name in TeamValues.__struct_fields__}
    if "retention_days" in found:
        found["retention_days"] = int(found["retention_days"])
    content = connection.execute(sa.select(team_files.c.content).where(team_files.c.name == PRICE_LIST)).scalar()
    return TeamValues(**found), _overrides(connection), content


def _overrides(connection: sa.Connection) -> tuple[Override, ...]:
    return tuple(
        Override(
            id=row.id,
            kind=row.kind,
            provider=row.provider,
            model=row.model,
            alias=row.alias,
            rates={unit: Decimal(rate) for unit, rate in msgspec.json.decode(row.rates, type=dict[str, str]).items()},
            starts=None if row.starts is None else date.fromisoformat(row.starts),
            note=row.note,
        )
        for row in connection.execute(sa.select(overrides).order_by(overrides.c.id))
    )
