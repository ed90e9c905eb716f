"""/recommendations: how far down a task may go, the listed table with today's truth beside it, today's families."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.catalog.catalog import Catalog
from app.console.advice import TrafficView, traffic_view
from app.console.page import Page
from app.console.times import today
from app.recommendation.cards import assumptions
from app.recommendation.discounts import KINDS, Discount
from app.recommendation.table import Comparison, TableRow, TaskLevel, listed_table, living_table, task_table

_FLAG_WORDS = {
    "saves": ("cheaper", "good"),
    "costs_more": ("costs more", "bad"),
    "costs_more_over_threshold": ("costs more on long prompts", "bad"),
    "unpriced": ("no price to compare", "warn"),
    "target_retired": ("target is retired", "bad"),
    "target_unknown": ("target is in no list", "bad"),
    "capability_lost": ("loses a capability", "warn"),
    "cached_dearer": ("cached input costs more", "warn"),
}


class Badge(msgspec.Struct, frozen=True):
    """A few words and how they are coloured (good, warn, bad)."""

    words: str
    tone: str


class Truth(msgspec.Struct, frozen=True):
    """What is true today of one downgrade."""

    comparison: Comparison
    prices: str
    badges: list[Badge]


class Row(msgspec.Struct, frozen=True):
    """One row of a table, with the truths about its targets."""

    row: TableRow
    truths: list[Truth]
    advised: str | None
    """In a few words, where a downgrade is alive, fits and saves today."""


class TaskRow(msgspec.Struct, frozen=True):
    """One task in the words of the product."""

    level: TaskLevel
    words: str


class DiscountRow(msgspec.Struct, frozen=True):
    """One feature with its ways to pay, in the order of KINDS, None where one saves nothing."""

    feature: str | None
    kinds: list[Discount | None]


class RecommendationsView(msgspec.Struct, frozen=True):
    """The page as `view` of recommendations.html."""

    day: str
    tasks: list[TaskRow]
    listed: list[Row]
    living: list[Row]
    traffic: TrafficView
    discounts: list[DiscountRow]
    assumptions: tuple[str, ...]


@get("/recommendations")
async def show_recommendations(page: NamedDependency[Page]) -> Response[bytes]:
    """The tables as of today in the reporting zone, and advice on the traffic of the last thirty days (UTC)."""
    view = recommendations_view(page.services.catalog.current, page, await traffic_view(page))
    return await page.answer("recommendations.html", view, title="Recommendations", block="traffic")


def recommendations_view(catalog: Catalog, page: Page, traffic: TrafficView) -> RecommendationsView:
    """All of the page."""
    day = today(page.now_us(), page.zone)
    return RecommendationsView(
        day=day.isoformat(),
        tasks=[TaskRow(level, task_words(level)) for level in task_table(catalog)],
        listed=[_row(row) for row in listed_table(catalog, day)],
        living=[_row(row) for row in living_table(catalog, day)],
        traffic=traffic,
        discounts=_discounts(traffic),
        assumptions=assumptions(catalog.policy),
    )


def _discounts(traffic: TrafficView) -> list[DiscountRow]:
    found: dict[str | None, dict[str, Discount]] = {}
    for line in () if traffic.report is None else traffic.report.discounts:
        found.setdefault(line.feature, {})[line.discount.kind] = line.discount
    return [DiscountRow(feature, [kinds.get(kind) for kind in KINDS]) for feature, kinds in found.items()]


def task_words(level: TaskLevel) -> str:
    """How far down a task may go, as one phrase."""
    if level.short != level.long:
        return f"{level.short} for short prompts, {level.long} for long ones"
    return {
        "aggressive": "aggressive: the smallest viable model (follow the downgrades to the end)",
        "conservative": "conservative: only when other signals agree",
        "never": "never, whatever any signal says",
    }.get(level.short, level.short)


def _row(row: TableRow) -> Row:
    truths = [
        Truth(
            comparison,
            _prices(comparison),
            [Badge(*_FLAG_WORDS.get(flag, (flag.replace("_", " "), "warn"))) for flag in comparison.flags],
        )
        for comparison in row.comparisons
    ]
    saving = [comparison for comparison in row.comparisons if comparison.flags == ("saves",)]
    if not row.source_alive or not saving:
        return Row(row, truths, None)
    until = saving[0].target_status.removeprefix("alive").strip()
    return Row(row, truths, f"saves {until}".strip())


def _prices(comparison: Comparison) -> str:
    parts = []
    for name in ("input", "output", "cached"):
        percent = getattr(comparison, f"{name}_percent")
        if percent is not None:
            sign = "+" if percent > 0 else "−" if percent < 0 else "±"
            parts.append(f"{name} {sign}{abs(percent)} %")
    return ", ".join(parts) or "no price to compare"
