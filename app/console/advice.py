"""The part of /recommendations about the team's own traffic: headline, cards, what nothing is advised to, calendar."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from app.catalog.catalog import Catalog
from app.console import render
from app.console.advice_figures import PAGE, Figures, figures
from app.console.advice_what_if import WhatIfView, what_if_view
from app.console.page import Page
from app.errors import ConflictError, LectrError, NotFoundError
from app.recommendation.advice import Advice, Headline, headline
from app.recommendation.cards import FLAGS, monthly_picousd, nothing_words
from app.recommendation.confidence import coverage
from app.recommendation.policy import task_reason
from app.services import AdviceReport, Card

FILTERS = ("feature", "task", "model")
DECISIONS = ("accept", "dismiss")
MOST_REASON = 500
MOST_CARDS = 30
MOST_WITHOUT = 50
WAIT_S = 0.1
"""How long the page waits for advice that is not ready: it may take 300 ms in all."""
UNTAGGED = "untagged"


class CardView(msgspec.Struct, frozen=True):
    """One card: the engine's own figures, and what is said about them in words."""

    card: Card
    advice: Advice
    figures: Figures
    notes: list[str]
    task_reason: str
    monthly_picousd: int | None
    coverage: str
    what_if_url: str


class Choice(msgspec.Struct, frozen=True):
    """One filter: its values among the groups of these days."""

    name: str
    values: list[str]
    chosen: str | None


class TrafficView(msgspec.Struct, frozen=True, kw_only=True):
    """The section. `problem` is why there is nothing, `waiting` that it is being made; `more_*` are not shown."""

    problem: str | None = None
    waiting: bool = False
    nothing: str = ""
    report: AdviceReport | None = None
    open: Headline = Headline(0, 0, 0, 0, 0, 0, 0)
    accepted_picousd: int = 0
    dismissed_picousd: int = 0
    cards: list[CardView] = []
    more_cards: int = 0
    accepted: list[CardView] = []
    dismissed: list[CardView] = []
    gone: list[Card] = []
    without: list[Advice] = []
    more_without: int = 0
    choices: list[Choice] = []
    given: dict[str, str] = {}
    what_if: WhatIfView | None = None


async def traffic_view(page: Page) -> TrafficView:
    """Advice on the last thirty days; an error of the ledger is shown as one, and the tables stand all the same."""
    given = page.parameters(*FILTERS)
    try:
        whole = await page.services.advice.engine.report_within(WAIT_S)
        if whole is None:
            return TrafficView(waiting=True, given=given)
        report = whole.only(**given)
        cards = await page.services.advice.cards(report, gone=report is whole)
        what_if = await what_if_view(page, whole)
    except LectrError as error:
        return TrafficView(problem=str(error), given=given)
    return _view(page.services.catalog.current, whole, report, cards, given, what_if)


def _view(
    catalog: Catalog,
    whole: AdviceReport,
    report: AdviceReport,
    cards: list[Card],
    given: dict[str, str],
    what_if: WhatIfView,
) -> TrafficView:
    advised = [card for card in cards if card.advice is not None and card.advice.chosen is not None]
    without = [card.advice for card in cards if card.advice is not None and card.advice.chosen is None]
    without.sort(key=lambda advice: (-advice.group.recorded_picousd, advice.id))
    by_state = {state: [card for card in advised if card.state == state] for state in ("open", *DECISIONS)}
    undecided = by_state["open"]
    return TrafficView(
        nothing=nothing_words(whole.seen),
        report=report,
        open=headline([card.advice for card in undecided if card.advice is not None]),
        accepted_picousd=_saved(by_state["accept"]),
        dismissed_picousd=_saved(by_state["dismiss"]),
        cards=_cards(catalog, undecided[:MOST_CARDS]),
        more_cards=max(0, len(undecided) - MOST_CARDS),
        accepted=_cards(catalog, by_state["accept"]),
        dismissed=_cards(catalog, by_state["dismiss"]),
        gone=[card for card in cards if card.advice is None],
        without=without[:MOST_WITHOUT],
        more_without=max(0, len(without) - MOST_WITHOUT),
        choices=_choices(whole, given),
        given=given,
        what_if=what_if,
    )


def _saved(cards: Iterable[Card]) -> int:
    return headline([card.advice for card in cards if card.advice is not None]).saved_picousd


def _choices(report: AdviceReport, given: dict[str, str]) -> list[Choice]:
    groups = [advice.group for advice in report.advice]
    values: dict[str, set[str]] = {
        "feature": {group.feature or UNTAGGED for group in groups},
        "task": {group.task or UNTAGGED for group in groups},
        "model": {group.model for group in groups},
    }
    return [Choice(name, sorted(found), given.get(name)) for name, found in values.items()]


@post("/recommendations/decide")
async def decide(page: NamedDependency[Page]) -> Response[bytes]:
    """Keep that an advice shall be followed or not, and why; what cannot be decided any more changes nothing."""
    form = await page.form()
    name, decision = form.get("id", ""), form.get("decision", "")
    if decision in DECISIONS:
        try:
            await page.services.advice.decide(name, decision, form.get("reason", "")[:MOST_REASON])
        except (NotFoundError, ConflictError):
            return render.redirect(f"{PAGE}#traffic")
    return render.redirect(f"{PAGE}#{quote(name, safe='')}")


def _cards(catalog: Catalog, cards: list[Card]) -> list[CardView]:
    return [_card(catalog, card, card.advice) for card in cards if card.advice is not None]


def _card(catalog: Catalog, card: Card, advice: Advice) -> CardView:
    chosen: Any = advice.chosen
    shown = figures(catalog, advice.group, chosen, card.id)
    return CardView(
        card=card,
        advice=advice,
        figures=shown,
        # That it is an estimate stands among the reasons of the confidence.
        notes=[note for note in shown.notes if note != FLAGS["estimate"]],
        task_reason=task_reason(catalog.policy, advice.permission.task),
        monthly_picousd=monthly_picousd(catalog.policy, advice) if advice.ranked else None,
        coverage=f"{coverage(advice.group) * 100:.0f} %",
        what_if_url=f"{PAGE}?group={advice.group_id}#what-if",
    )
