"""Finds or makes the rows of `groups` and `details` that requests point at.

Ids are remembered by the raw values of an entry, so that in the usual case a request costs two dictionary look-ups.
What a transaction has added is remembered only once it is committed.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import sqlalchemy as sa

from app.ledger.dialects import insert_ignoring
from app.ledger.rows import detail_values, group_values
from app.ledger.tables import details, groups

Key = tuple[Any, ...]
MAX_REMEMBERED = 20_000
LOOKED_UP_AT_ONCE = 500


class Resolved(NamedTuple):
    """Rows that were looked up or made: ids by raw values, stored values by id."""

    ids: dict[Key, int]
    stored: dict[int, Key]


class Dimension:
    """One dimension table: `ids` maps the raw values of an entry to the row's id, `stored` that to its columns."""

    def __init__(self, table: sa.Table, values_of: Callable[[Key], Key]) -> None:
        self._table = table
        self._values_of = values_of
        self._names = [column.name for column in table.c if column.name != "id"]
        self.ids: dict[Key, int] = {}
        self.stored: dict[int, Key] = {}

    def ids_of(self, connection: sa.Connection, keys: Sequence[Key]) -> tuple[list[int], Resolved]:
        """The id of each key, and what `resolve` says of those that are not remembered yet."""
        ids = list(map(self.ids.get, keys))
        if None not in ids:
            return cast(list[int], ids), Resolved({}, {})
        new = self.resolve(connection, keys)
        return [new.ids[key] if number is None else number for key, number in zip(keys, ids, strict=True)], new

    def resolve(self, connection: sa.Connection, keys: Iterable[Key]) -> Resolved:
        """The rows of the keys that are not remembered yet, made where missing. Runs in a write transaction."""
        missing = {key for key in keys if key not in self.ids}
        if not missing:
            return Resolved({}, {})
        values = {key: self._values_of(key) for key in missing}
        digests = {key: hashlib.sha256(msgspec.json.encode(row)).digest()[:16] for key, row in values.items()}
        found = self._look_up(connection, list(digests.values()))
        absent = {digests[key]: values[key] for key in missing if digests[key] not in found}
        if absent:
            rows = [dict(zip(self._names, (digest, *row), strict=True)) for digest, row in absent.items()]
            connection.execute(insert_ignoring(connection.dialect, self._table, "digest"), rows)
            found |= self._look_up(connection, list(absent))
        ids = {key: found[digest] for key, digest in digests.items()}
        return Resolved(ids, {number: values[key] for key, number in ids.items()})

    def _look_up(self, connection: sa.Connection, digests: list[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for start in range(0, len(digests), LOOKED_UP_AT_ONCE):
            some = digests[start : start + LOOKED_UP_AT_ONCE]
            query = sa.select(self._table.c.digest, self._table.c.id).where(self._table.c.digest.in_(some))
            found |= {bytes(digest): number for digest, number in connection.execute(query)}
        return found

    def remember(self, resolved: Resolved) -> None:
        """Keep rows that are now committed."""
        if len(self.ids) + len(resolved.ids) > MAX_REMEMBERED:
            self.forget()
        self.ids.update(resolved.ids)
        self.stored.update(resolved.stored)

    def forget(self) -> None:
        """Forget everything."""
        self.ids.clear()
        self.stored.clear()


class Dimensions:
    """Both dimension tables of one open database. Forgets everything when the file was opened anew."""

    def __init__(self) -> None:
        self.groups = Dimension(groups, group_values)
        self.details = Dimension(details, detail_values)
        self._epoch = 0

    def follow(self, epoch: int) -> None:
        """Forget the ids of a file that is gone."""
        if epoch != self._epoch:
            self.groups.forget()
            self.details.forget()
            self._epoch = epoch
