"""Finds or makes the rows of `groups` and `details` that requests point at.

Ids are remembered by the raw values of an entry, so that in the usual case a request costs two dictionary look-ups.
What a transaction has added is remembered only once it is committed.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.dialects import insert_ignoring
from app.ledger.rows import detail_values, group_values
from app.ledger.tables import details, groups

Key = tuple[Any, ...]
MAX_REMEMBERED = 20_000
LOOKED_UP_AT_ONCE = 500


class Dimension:
    """One dimension table: `ids` maps the raw values of an entry to the row's id."""

    def __init__(self, table: sa.Table, values_of: Callable[[Key], Key]) -> None:
        self._table = table
        self._values_of = values_of
        self._names = [column.name for column in table.c if column.name != "id"]
        self.ids: dict[Key, int] = {}

    def resolve(self, connection: sa.Connection, keys: Iterable[Key]) -> dict[Key, int]:
        """Ids of the keys that are not remembered yet, made where missing. Runs in a write transaction."""
        missing = {key for key in keys if key not in self.ids}
        if not missing:
            return {}
        values = {key: self._values_of(key) for key in missing}
        digests = {key: hashlib.sha256(msgspec.json.encode(row)).digest()[:16] for key, row in values.items()}
        found = self._look_up(connection, list(digests.values()))
        absent = {digests[key]: values[key] for key in missing if digests[key] not in found}
        if absent:
            rows = [dict(zip(self._names, (digest, *row), strict=True)) for digest, row in absent.items()]
            connection.execute(insert_ignoring(connection.dialect, self._table, "digest"), rows)
            found |= self._look_up(connection, list(absent))
        return {key: found[digest] for key, digest in digests.items()}

    def _look_up(self, connection: sa.Connection, digests: list[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for start in range(0, len(digests), LOOKED_UP_AT_ONCE):
            some = digests[start : start + LOOKED_UP_AT_ONCE]
            query = sa.select(self._table.c.digest, self._table.c.id).where(self._table.c.digest.in_(some))
            found |= {bytes(digest): number for digest, number in connection.execute(query)}
        return found

    def remember(self, ids: dict[Key, int]) -> None:
        """Keep ids that are now committed."""
        if len(self.ids) + len(ids) > MAX_REMEMBERED:
            self.ids.clear()
        self.ids.update(ids)


class Dimensions:
    """Both dimension tables of one open database. Forgets everything when the file was opened anew."""

    def __init__(self) -> None:
        self.groups = Dimension(groups, group_values)
        self.details = Dimension(details, detail_values)
        self._epoch = 0

    def follow(self, epoch: int) -> None:
        """Forget the ids of a file that is gone."""
        if epoch != self._epoch:
            self.groups.ids.clear()
            self.details.ids.clear()
            self._epoch = epoch
