"""A stacked bar chart, drawn on the server: the same figures stand in the table underneath."""

import msgspec

_WIDTH, _HEIGHT = 1000, 200
_TOP, _BOTTOM = 10, 20
_GAP = 0.25


class Segment(msgspec.Struct, frozen=True):
    """One coloured piece of one day's bar, in the units of the chart's viewBox."""

    series: int
    x: float
    y: float
    width: float
    height: float


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Days and series with their amounts (pico-dollars), and the bars that show them."""

    days: list[str]
    names: list[str]
    amounts: list[list[int]]
    """By series, then by day."""
    totals: list[int]
    segments: list[Segment]
    highest: int


def stacked(days: list[str], series: dict[str, dict[str, int]]) -> Chart:
    """The chart of these series over these days; a day without an amount counts as 0."""
    amounts = [[values.get(day, 0) for day in days] for values in series.values()]
    totals = [sum(column) for column in zip(*amounts, strict=True)]
    highest = max(totals, default=0) or 1
    step = _WIDTH / max(len(days), 1)
    segments = []
    for place, _ in enumerate(days):
        base = 0
        for number, values in enumerate(amounts):
            if not values[place]:
                continue
            height = (_HEIGHT - _TOP - _BOTTOM) * values[place] / highest
            top = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (base + values[place]) / highest
            x, width = place * step + step * _GAP / 2, step * (1 - _GAP)
            segments.append(Segment(number, round(x, 1), round(top, 1), round(width, 1), round(max(height, 0.5), 1)))
            base += values[place]
    return Chart(
        days=days, names=list(series), amounts=amounts, totals=totals, segments=segments, highest=max(totals, default=0)
    )
