"""Charts as SVG, written by hand: they have a ground of their own, so that they read on any page, light or dark."""

from collections.abc import Sequence
from math import log10
from xml.sax.saxutils import escape

import msgspec

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 } .small { font-size: 10px; fill: #666 } .title { font-weight: 600 }
.ground { fill: #fff } .rule { stroke: #ccc; stroke-width: 1 } .bar { fill: #9aa5b1 } .bar.ours { fill: #0b6e4f }
.line { fill: none; stroke-width: 2; stroke: #9aa5b1 } .line.ours { stroke: #0b6e4f }
.dot { fill: #9aa5b1 } .dot.ours { fill: #0b6e4f }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .small { fill: #aaa } .ground { fill: #16191d } .rule { stroke: #3a4048 }
  .bar, .dot { fill: #6b7785 }
  .bar.ours, .dot.ours { fill: #4cc38a } .line { stroke: #6b7785 } .line.ours { stroke: #4cc38a }
}
</style>"""


class Picture:
    """An SVG being drawn; y grows downwards."""

    def __init__(self, width: int, height: int, says: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img"><title>{escape(says)}</title>',
            STYLE,
            f'<rect class="ground" width="{width}" height="{height}" rx="6"/>',
        ]

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self._parts.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'
        )

    def rule(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self._parts.append(f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def curve(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline class="line {kind}" points="{joined}"/>')
        self._parts += [f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]

    def written(self) -> str:
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def bars(title: str, note: str, rows: Sequence[tuple[str, float, str]], ours: str) -> str:
    """Horizontal bars on a logarithmic scale: name, value, what stands beside the bar."""
    width, left, right, row = 760, 130, 210, 26
    height = 58 + row * len(rows) + 14
    picture = Picture(width, height, title)
    picture.text(14, 24, title, "title")
    picture.text(14, 42, note, "small")
    lowest = min(value for _, value, _ in rows) / 2
    scale = (width - left - right) / (log10(max(value for _, value, _ in rows)) - log10(lowest))
    for number, (name, value, beside) in enumerate(rows):
        y = 58 + row * number
        kind = "ours" if name == ours else ""
        length = (log10(value) - log10(lowest)) * scale
        picture.text(left - 8, y + 14, name, "", "end")
        picture.bar(left, y + 3, length, row - 10, kind)
        picture.text(left + length + 6, y + 14, beside)
    return picture.written()


class Panel(msgspec.Struct, frozen=True):
    """One small chart: curves by name over a logarithmic x, from 0 upwards."""

    title: str
    x_label: str
    unit: str
    curves: dict[str, list[tuple[float, float]]]


def grid(title: str, note: str, panels: Sequence[Panel], columns: int, ours: str) -> str:
    """Small charts side by side, row after row."""
    wide, high = 240, 170
    rows = (len(panels) + columns - 1) // columns
    picture = Picture(columns * wide + 20, rows * high + 60, title)
    picture.text(14, 24, title, "title")
    picture.text(14, 42, note, "small")
    for number, panel in enumerate(panels):
        _panel(picture, panel, 14 + wide * (number % columns), 56 + high * (number // columns), ours)
    return picture.written()


def _panel(picture: Picture, panel: Panel, x: float, y: float, ours: str) -> None:
    left, top, width, height = x + 46, y + 20, 170, 96
    picture.text(left, y + 10, panel.title)
    points = [point for curve in panel.curves.values() for point in curve]
    if not points:
        picture.text(left, top + height / 2, "not measured", "small")
        return
    top_value = max(value for _, value in points) * 1.08 or 1.0
    first, last = _logarithm(min(at for at, _ in points)), _logarithm(max(at for at, _ in points))
    for share in (0, 0.5, 1):
        level = top + height * (1 - share)
        picture.rule(left, level, left + width, level)
        picture.text(left - 5, level + 4, short(top_value * share), "small", "end")

    def place(at: float, value: float) -> tuple[float, float]:
        share = (_logarithm(at) - first) / (last - first) if last > first else 0.5
        return left + share * width, top + height * (1 - value / top_value)

    for name, curve in sorted(panel.curves.items(), key=lambda item: item[0] == ours):
        picture.curve([place(*point) for point in curve], "ours" if name == ours else "")
    lowest, highest = min(at for at, _ in points), max(at for at, _ in points)
    picture.text(left, top + height + 14, short(lowest), "small")
    picture.text(left + width, top + height + 14, short(highest), "small", "end")
    picture.text(left + width / 2, top + height + 14, panel.x_label, "small", "middle")
    picture.text(left + width, y + 10, panel.unit, "small", "end")


def _logarithm(at: float) -> float:
    # Ledgers begin at 0 rows.
    return log10(max(at, 1.0))


def short(value: float) -> str:
    """A number for an axis: 12, 1.5k, 10M."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
