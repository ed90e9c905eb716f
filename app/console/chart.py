"""A stacked bar chart, drawn on the server: the same figures stand in the table underneath."""

import msgspec

_WIDTH, _HEIGHT = 1000, 200
_TOP, _BOTTOM = 10, 20
_INNER = _HEIGHT - _TOP - _BOTTOM
_GAP = 0.25


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Days and series with their amounts (pico-dollars), and the bars that show them."""

    days: list[str]
    names: list[str]
    amounts: list[list[int]]
    """By series, then by day."""
    totals: list[int]
    paths: list[str]
    """By series: all its bars as one SVG path."""
    highest: int


def stacked(days: list[str], series: dict[str, dict[str, int]]) -> Chart:
    """The chart of these series over these days; a day without an amount counts as 0."""
    amounts = [[values.get(day, 0) for day in days] for values in series.values()]
    totals = [sum(column) for column in zip(*amounts, strict=True)]
    highest = max(totals, default=0) or 1
    step = _WIDTH / max(len(days), 1)
    base = [0] * len(days)
    paths = []
    for values in amounts:
        bars = []
        for place, value in enumerate(values):
            if value > 0:
                height = max(round(_INNER * value / highest, 1), 0.5)
                top = round(_HEIGHT - _BOTTOM - _INNER * (base[place] + value) / highest, 1)
                x, width = round((place + _GAP / 2) * step, 1), round(step * (1 - _GAP), 1)
                bars.append(f"M{x} {top}h{width}v{height}h-{width}z")
                base[place] += value
        paths.append("".join(bars))
    return Chart(
        days=days, names=list(series), amounts=amounts, totals=totals, paths=paths, highest=max(totals, default=0)
    )
