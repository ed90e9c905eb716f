"""The part of /recommendations about the team's own traffic: headline, cards, what nothing is advised to, calendar."""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from app.catalog.policy import threshold
from app.console import render
from app.console.page import Page
from app.errors import ConflictError, LectrError, NotFoundError
from app.recommendation.advice import Advice
from app.recommendation.cards import FLAGS, change_line, monthly_picousd
from app.recommendation.confidence import coverage
from app.services import AdviceReport, Card

FILTERS = ("feature", "task", "model")
DECISIONS = ("accept", "dismiss")
MOST_REASON = 500
MOST_CARDS = 30
MOST_WITHOUT = 50


class CardView(msgspec.Struct, frozen=True):
    """One card: the engine's own figures, and what is said about them in words."""

    card: Card
    advice: Advice
    monthly_picousd: int | None
    change: str
    notes: list[str]
    coverage: str
    requests_url: str


class TrafficView(msgspec.Struct, frozen=True):
    """The section. `problem` is why there is nothing, `more_*` how many are not shown; `given` are the filters."""

    problem: str | None
    report: AdviceReport | None = None
    cards: list[CardView] = []
    more_cards: int = 0
    without: list[Advice] = []
    more_without: int = 0
    gone: list[Card] = []
    given: dict[str, str] = {}


async def traffic_view(page: Page) -> TrafficView:
    """Advice on the last thirty days; an error of the ledger is shown as one, and the tables stand all the same."""
    given = page.parameters(*FILTERS)
    try:
        whole = await page.services.advice.engine.report()
        report = whole.only(**given)
        cards = await page.services.advice.cards(report, gone=report is whole)
    except LectrError as error:
        return TrafficView(problem=str(error), given=given)
    policy = page.services.catalog.current.policy
    advised = [card for card in cards if card.advice is not None and card.advice.chosen is not None]
    without = [card.advice for card in cards if card.advice is not None and card.advice.chosen is None]
    return TrafficView(
        problem=None,
        report=report,
        cards=[_card(policy, card, card.advice) for card in advised[:MOST_CARDS] if card.advice is not None],
        more_cards=max(0, len(advised) - MOST_CARDS),
        without=without[:MOST_WITHOUT],
        more_without=max(0, len(without) - MOST_WITHOUT),
        gone=[card for card in cards if card.advice is None],
        given=given,
    )


@post("/recommendations/decide")
async def decide(page: NamedDependency[Page]) -> Response[bytes]:
    """Keep that an advice shall be followed or not, and why; what cannot be decided any more changes nothing."""
    form = await page.form()
    name, decision = form.get("id", ""), form.get("decision", "")
    if decision in DECISIONS:
        try:
            await page.services.advice.decide(name, decision, form.get("reason", "")[:MOST_REASON])
        except (NotFoundError, ConflictError):
            return render.redirect("/recommendations#traffic")
    return render.redirect(f"/recommendations#{quote(name, safe='')}")


def _card(policy: Any, card: Card, advice: Advice) -> CardView:
    group, chosen = advice.group, advice.chosen
    asked = {
        "range": "30d",
        "provider": group.provider,
        "model": group.model,
        "feature": group.feature or "untagged",
        "task": group.task or "untagged",
    }
    notes = [] if chosen is None else [FLAGS.get(flag, flag) for flag in chosen.flags]
    if chosen is not None and chosen.ends is not None:
        days = threshold(policy, "ends_within_days")
        notes.append(f"saves until {chosen.ends}: the target ends within {days} days")
    return CardView(
        card=card,
        advice=advice,
        monthly_picousd=monthly_picousd(policy, advice) if advice.ranked else None,
        change="" if chosen is None else change_line(group, chosen.target),
        notes=notes,
        coverage=f"{coverage(group) * 100:.0f} %",
        requests_url=f"/requests?{urlencode(asked)}",
    )
