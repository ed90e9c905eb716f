"""Reads daily sums: from `facet_sums` where a single facet is asked about, else from `rollup`."""

from typing import Any

import msgspec
import sqlalchemy as sa

from app.ledger.days import day_conditions
from app.ledger.facet_sums import ABSENT, FACET_SUM_COLUMNS, LOW_BITS, PAIR_NAMES, SUMMED_FACETS
from app.ledger.filters import UNTAGGED, RequestFilter
from app.ledger.storable import storable
from app.ledger.tables import (
    FREE,
    HISTOGRAM_COLUMNS,
    PAIRED_COLUMNS,
    PRICED,
    TOKEN_COLUMNS,
    facet_sums,
    groups,
    rollup,
    rollup_carry,
)
from app.ledger.time_order import chosen_groups

CalendarDays = tuple[int, int | None, int | None]
"""Calendar, first and last day, both included, None where open."""
_PLACE_FIELDS = ("since_us", "until_us")
_R, _G, _F = rollup.c, groups.c, facet_sums.c
_WHOLE = 0
"""The facet whose values are fewest: added up, they are everything."""


def is_plain(f: RequestFilter) -> bool:
    """True if the filter asks for nothing but a time range."""
    return not _fields_set(f)


def _fields_set(f: RequestFilter) -> dict[str, Any]:
    values = msgspec.structs.asdict(f)
    return {name: value for name, value in values.items() if value is not None and name not in _PLACE_FIELDS}


def facet_days(calendar: int, first: int | None, last: int | None) -> list[Any]:
    """Conditions on `facet_sums` for a calendar and its days `first` to `last`, both included."""
    found: list[Any] = [_F.calendar == calendar]
    if first is not None:
        found.append(_F.day >= first)
    if last is not None:
        found.append(_F.day <= last)
    return found


def _facet_source(by: str | None, f: RequestFilter) -> list[Any] | None:
    """Conditions on `facet_sums` that answer this question, None if only `rollup` can."""
    fields = _fields_set(f)
    if not fields:
        facet = SUMMED_FACETS.index(by) if by in SUMMED_FACETS else _WHOLE
        return [_F.facet == facet]
    [(name, value), *others] = fields.items()
    if others or name not in SUMMED_FACETS or by not in (None, "day", name):
        return None
    if name == "status" and not value.strip().lower().endswith(("xx", "none")):
        return None
    if name == "streamed":
        value = str(int(value))
    elif name == "status":
        value = value.strip().lower()
    elif value == UNTAGGED and name in ("feature", "task"):
        value = ABSENT
    else:
        # No group has an empty text: here that would name the rows without one.
        value = storable(value, 200) or "\x01"
    return [_F.facet == SUMMED_FACETS.index(name), _F.value == value]


def read_sums(
    connection: sa.Connection, by: str, days: CalendarDays, f: RequestFilter, conditions: list[Any]
) -> list[tuple[Any, dict[str, int]]]:
    """(group value, sums by name) per `by`; `conditions` are those of the filter on `groups`.

    Names: requests, billable, priced, estimated, failed, cost, estimated_cost, the token columns, the histogram's.
    """
    source = _facet_source(by, f)
    if source is None:
        return _from_rollup(connection, by, day_conditions(*days), conditions)
    group = _F.day if by == "day" else _F.value
    query = sa.select(group, *(sa.func.sum(_F[name]) for name in FACET_SUM_COLUMNS))
    rows = connection.execute(query.where(*facet_days(*days), *source).group_by(group))
    return [(value, _joined(dict(zip(FACET_SUM_COLUMNS, map(int, numbers), strict=True)))) for value, *numbers in rows]


def read_total(
    connection: sa.Connection, columns: tuple[str, ...], days: CalendarDays, f: RequestFilter, conditions: list[Any]
) -> list[int]:
    """The sums of these columns, `requests` or those of the histogram, over everything that matches."""
    source = _facet_source(None, f)
    if source is not None:
        query = sa.select(*(sa.func.sum(_F[name]) for name in columns)).where(*facet_days(*days), *source)
    else:
        query = sa.select(*(sa.func.sum(_R[name]) for name in columns))
        query = query.where(*day_conditions(*days), _R.group_id.in_(chosen_groups(conditions)))
    return [int(value or 0) for value in connection.execute(query).one()]


def _joined(sums: dict[str, int]) -> dict[str, int]:
    for name in PAIRED_COLUMNS:
        sums[name] = (sums.pop(f"{name}_high") << LOW_BITS) + sums.pop(f"{name}_low")
    return sums


def _when(condition: Any, column: Any) -> Any:
    return sa.case((condition, column), else_=0)


_ROLLUP_SUMS: dict[str, Any] = {
    "requests": _R.requests,
    "billable": _when(_G.priced != FREE, _R.requests),
    "priced": _when(_G.priced == PRICED, _R.requests),
    "estimated": _when(_G.estimated == 1, _R.requests),
    "failed": _when(_G.failed == 1, _R.requests),
    "cost_high": _R.cost_high,
    "cost_low": _R.cost_low,
    "estimated_cost_high": _when(_G.estimated == 1, _R.cost_high),
    "estimated_cost_low": _when(_G.estimated == 1, _R.cost_low),
    **{f"{name}_low": _R[name] for name in TOKEN_COLUMNS},
    **{name: _R[name] for name in HISTOGRAM_COLUMNS},
}


def _from_rollup(
    connection: sa.Connection, by: str, days: list[Any], conditions: list[Any]
) -> list[tuple[Any, dict[str, int]]]:
    group = _R.day if by == "day" else _G[by]
    query = sa.select(group, *(sa.func.sum(column) for column in _ROLLUP_SUMS.values()))
    query = query.join(groups, _G.id == _R.group_id).where(*days, *conditions).group_by(group)
    found: dict[Any, dict[str, int]] = {}
    for value, *numbers in connection.execute(query):
        found[value] = dict.fromkeys(PAIR_NAMES, 0) | dict(zip(_ROLLUP_SUMS, map(int, numbers), strict=True))
    for value, *carried in connection.execute(_carried(group, days, conditions)):
        for name, high in zip(TOKEN_COLUMNS, carried, strict=True):
            found[value][f"{name}_high"] += int(high)
    return [(value, _joined(sums)) for value, sums in found.items()]


def _carried(group: Any, days: list[Any], conditions: list[Any]) -> Any:
    c = rollup_carry.c
    # The carry has a row only where the rollup has one, so the rollup's conditions hold for it through the join.
    same = sa.and_(c.calendar == _R.calendar, c.day == _R.day, c.group_id == _R.group_id)
    query = sa.select(group, *(sa.func.sum(c[name]) for name in TOKEN_COLUMNS))
    query = query.select_from(rollup_carry.join(rollup, same).join(groups, _G.id == _R.group_id))
    return query.where(*days, *conditions).group_by(group)
