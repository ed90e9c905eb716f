"""/recommendations/{id}: the requests behind a recommendation or a what-if, each priced anew, page by page."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.console import render
from app.console.advice_figures import Figures, evidence_url, figures, group_words
from app.console.page import Page
from app.recommendation.advice import Advice, Verdict
from app.services import AdviceReport, PricedRow

MOST_ROWS = 100


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of recommendation.html. Raises NotFoundError, LedgerError."""

    report: AdviceReport
    advice: Advice
    words: str
    figures: Figures
    rows: list[PricedRow]
    current_picousd: int
    candidate_picousd: int
    first_page: bool
    older_url: str | None
    newest_url: str


@get("/recommendations/{recommendation_id:str}")
async def show_evidence(page: NamedDependency[Page], recommendation_id: FromPath[str]) -> Response[bytes]:
    """Figures, their prices and the rows they are sums of; `target` asks for another model than the advised one."""
    given = page.parameters("target", "after")
    try:
        view = await _view(page, recommendation_id, given.get("target"), given.get("after"))
    except ValueError:
        # The place in the list is none: from its beginning again.
        return render.redirect(evidence_url(recommendation_id, given.get("target")))
    return await page.answer("recommendation.html", view, title="Requests behind a recommendation")


async def _view(page: Page, id: str, target: str | None, after: str | None) -> EvidenceView:
    desk = page.services.advice
    report = await desk.engine.report()
    advice = report.find(id)
    verdict = await _verdict(page, advice, target)
    name = verdict.target.id if target else None
    found = await desk.evidence(id, limit=MOST_ROWS, after=after, target=verdict.target.id)
    return EvidenceView(
        report=report,
        advice=advice,
        words=group_words(advice.group),
        figures=figures(page.services.catalog.current, advice.group, verdict, id, name),
        rows=list(found.rows),
        current_picousd=sum(row.current_picousd for row in found.rows),
        candidate_picousd=sum(row.candidate_picousd for row in found.rows),
        first_page=after is None,
        older_url=None if found.next is None else evidence_url(id, name, after=found.next),
        newest_url=evidence_url(id, name),
    )


async def _verdict(page: Page, advice: Advice, target: str | None) -> Verdict:
    if target is None and advice.chosen is not None:
        return advice.chosen
    return await page.services.advice.engine.what_if(advice.group_id, target or advice.group.source.id)
