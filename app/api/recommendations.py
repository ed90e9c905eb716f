"""`/api/recommendations`: the listed table, and advice on the team's own traffic with what was decided about it."""

from datetime import UTC, date, datetime
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from app.api import parameters
from app.api.advice_answers import CardAnswer, TrafficAdvice
from app.api.advice_views import card_view, evidence_row, gone_view, report_view, target_view
from app.api.failures import BadQuery, documented
from app.recommendation.table import Comparison, TableRow, listed_table, living_table
from app.services import Services

MAX_REASON = 500


class RecommendationView(msgspec.Struct):
    """One listed model: its downgrades by bare id, the words of the table, and what is true today."""

    model: str
    provider: str
    conservative: str | None
    aggressive: str | None
    words: str
    source_status: str
    today: tuple[Comparison, ...]


class RecommendationList(msgspec.Struct):
    """The listed table, and the downgrades among today's models."""

    recommendations: list[RecommendationView]
    living: list[RecommendationView]


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why; at most 500 characters."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""


@get("/api/recommendations", responses=documented(400))
async def recommendations(
    request: parameters.Query,
    services: NamedDependency[Services],
    view: FromQuery[str] = "table",
    since: FromQuery[str | None] = None,
    feature: FromQuery[str | None] = None,
    task: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
) -> RecommendationList | TrafficAdvice:
    """`view=table`: the listed downgrades with today's truth beside them. `view=traffic`: advice on recorded requests.

    `since` is the first UTC day that counts, else 30 days are; `untagged` asks for no feature or task.
    """
    if view == "table":
        parameters.only(request, ("view",))
        catalog, today = services.catalog.current, _today(services)
        listed, living = listed_table(catalog, today), living_table(catalog, today)
        return RecommendationList(*([_recommendation(row) for row in rows] for rows in (listed, living)))
    if view != "traffic":
        raise BadQuery(f"view is {view[:40]!r}; there are: table, traffic.")
    parameters.only(request, ("view", "since", "feature", "task", "model"))
    report = await services.advice.engine.report(parameters.day("since", since, "UTC"))
    chosen = report.only(feature, task, model)
    cards = await services.advice.cards(chosen, gone=chosen is report)
    return report_view(services.catalog.current.policy, chosen, cards)


@get("/api/recommendations/{recommendation_id:str}", responses=documented(400, 404))
async def recommendation_detail(
    request: parameters.Query,
    services: NamedDependency[Services],
    recommendation_id: FromPath[str],
    since: FromQuery[str | None] = None,
    target: FromQuery[str | None] = None,
    limit: FromQuery[int] = 100,
    after: FromQuery[str | None] = None,
) -> CardAnswer:
    """One recommendation with the requests behind it, newest first; `after` takes `next`.

    A page may hold fewer than `limit` while there is a `next`. `target` asks what
    any other model of the same provider would have cost; then the requests are priced at that one.
    """
    parameters.only(request, ("since", "target", "limit", "after"))
    first, desk = parameters.day("since", since, "UTC"), services.advice
    card = await desk.card(recommendation_id, first)
    shown = card_view(services.catalog.current.policy, card)
    if card.advice is None:
        return CardAnswer(None, gone_view(card), None, [], None)
    verdict = None if target is None else await desk.engine.what_if(recommendation_id, target, first)
    try:
        page = await desk.evidence(recommendation_id, first, limit=parameters.limit(limit), after=after, target=target)
    except ValueError as error:
        raise BadQuery(f"after: {error}.") from None
    seen = None if verdict is None else target_view(verdict)
    return CardAnswer(shown, None, seen, [evidence_row(row) for row in page.rows], page.next)


@post("/api/recommendations/{recommendation_id:str}/accept", status_code=200, responses=documented(400, 404, 409))
async def recommendation_accept(
    request: parameters.Query,
    services: NamedDependency[Services],
    recommendation_id: FromPath[str],
    data: JSONBody[DecisionBody],
) -> CardAnswer:
    """Keep that this shall be done. Lectr rewrites no model: the program has to be changed."""
    return await _decide(request, services, recommendation_id, "accept", data)


@post("/api/recommendations/{recommendation_id:str}/dismiss", status_code=200, responses=documented(400, 404, 409))
async def recommendation_dismiss(
    request: parameters.Query,
    services: NamedDependency[Services],
    recommendation_id: FromPath[str],
    data: JSONBody[DecisionBody],
) -> CardAnswer:
    """Keep that this shall not be done, and why."""
    return await _decide(request, services, recommendation_id, "dismiss", data)


async def _decide(
    request: parameters.Query, services: Services, id: str, decision: str, body: DecisionBody
) -> CardAnswer:
    parameters.only(request, ())
    card = await services.advice.decide(id, decision, body.reason)
    return CardAnswer(card_view(services.catalog.current.policy, card), gone_view(card), None, [], None)


def _recommendation(row: TableRow) -> RecommendationView:
    return RecommendationView(
        row.model, row.provider, row.conservative, row.aggressive, row.words, row.source_status, row.comparisons
    )


def _today(services: Services) -> date:
    return datetime.fromtimestamp(services.clock() / 1e6, UTC).date()
