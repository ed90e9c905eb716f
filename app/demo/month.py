"""When an invented team works: the hours of a month, and how busy each rhythm is in them."""

import random
from collections.abc import Iterator, Mapping

from app.demo.workloads import WORKLOADS, Workload

DAYS = 30
HOUR_US = 3_600_000_000
_HOURS = DAYS * 24
_SATURDAY, _MONDAY = 5, 0
_THURSDAY_1970 = 3

# Busyness by hour of the day (UTC), 0 to 10, on working days and at weekends.
_RHYTHMS: Mapping[str, tuple[str, str]] = {
    "office": ("000000137999878999632100", "000000000011111111000000"),
    "shoppers": ("211112357888989998776543", "211111234567777788765432"),
    "always": ("544445677888888888777665", "544445566677777776666555"),
    "batch": ("399999310000001100000011", "099400000000000000000011"),
}
_BATCH_MONDAY = 3.0
_GROWTH_IN_A_MONTH = 0.25


def _busyness(rhythm: str, weekday: int, hour: int) -> float:
    by_hour = _RHYTHMS[rhythm][1 if weekday >= _SATURDAY else 0]
    factor = _BATCH_MONDAY if rhythm == "batch" and weekday == _MONDAY else 1.0
    return int(by_hour[hour]) * factor / sum(int(digit) for digit in _RHYTHMS[rhythm][0])


class Slot:
    """One hour of the week: which workloads come in it, and how many requests in all (in relation to other hours)."""

    def __init__(self, weekday: int, hour: int) -> None:
        total = 0.0
        self.cumulated: list[float] = []
        for workload in WORKLOADS:
            total += workload.weight * _busyness(workload.rhythm, weekday, hour)
            self.cumulated.append(total)
        self.total = total


def moments(rng: random.Random, rows: int, now_us: int) -> Iterator[tuple[int, Workload]]:
    """`rows` moments of the 30 days before `now_us`, oldest first, each with what was asked then."""
    first_hour = now_us // HOUR_US - _HOURS + 1
    slots = {(weekday, hour): Slot(weekday, hour) for weekday in range(7) for hour in range(24)}
    hours: list[tuple[int, int, Slot, float]] = []
    for number in range(_HOURS):
        hour = first_hour + number
        slot = slots[(hour // 24 + _THURSDAY_1970) % 7, hour % 24]
        start, end = hour * HOUR_US, min((hour + 1) * HOUR_US, now_us)
        share = (end - start) / HOUR_US * (1 + _GROWTH_IN_A_MONTH * number / _HOURS)
        hours.append((start, end, slot, slot.total * share))
    everything = sum(busy for *_, busy in hours)
    so_far, given = 0.0, 0
    for start, end, slot, busy in hours:
        so_far += busy
        due = round(rows * so_far / everything) - given
        given += due
        length = end - start
        for moment in sorted(int(rng.random() * length) for _ in range(due)):
            yield start + moment, rng.choices(WORKLOADS, cum_weights=slot.cumulated)[0]
