"""The what-if of /recommendations: any group against any model of the same provider. The URL is the state."""

import msgspec

from app.catalog.schema import Model
from app.console.advice_figures import Figures, figures, group_words
from app.console.page import Page
from app.errors import LectrError, NotFoundError
from app.recommendation.advice import Advice
from app.recommendation.candidates import status_words
from app.services import AdviceReport

PARAMETERS = ("group", "target")


class Option(msgspec.Struct, frozen=True):
    """One entry of a list to choose from."""

    value: str
    words: str
    chosen: bool


class Options(msgspec.Struct, frozen=True):
    """Entries under one heading."""

    label: str
    options: list[Option]


class WhatIfView(msgspec.Struct, frozen=True):
    """`groups` to choose from, `targets` once one is chosen, `answer` once both are; `problem` says what is wrong."""

    groups: list[Options]
    targets: list[Options]
    chosen: Advice | None = None
    answer: Figures | None = None
    problem: str | None = None


async def what_if_view(page: Page, report: AdviceReport) -> WhatIfView:
    """What is asked in the address, answered as far as it goes."""
    given = page.parameters(*PARAMETERS)
    group, target = given.get("group"), given.get("target")
    try:
        chosen = None if group is None else report.find(group)
    except NotFoundError:
        problem = "That group has no requests in these days any more: choose another."
        return WhatIfView(_groups(report, None), [], problem=problem)
    groups = _groups(report, chosen)
    if chosen is None:
        return WhatIfView(groups, [])
    targets = _targets(page, report, chosen, target)
    if target is None:
        return WhatIfView(groups, targets, chosen)
    try:
        verdict = await page.services.advice.engine.what_if(chosen.group_id, target)
    except LectrError as error:
        return WhatIfView(groups, targets, chosen, problem=_sentence(str(error)))
    answer = figures(page.services.catalog.current, chosen.group, verdict, chosen.group_id, verdict.target.id)
    return WhatIfView(groups, targets, chosen, answer)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _groups(report: AdviceReport, chosen: Advice | None) -> list[Options]:
    found: dict[str, list[Option]] = {}
    for advice in sorted(report.advice, key=lambda advice: (-advice.group.recorded_picousd, advice.group_id)):
        option = Option(advice.group_id, group_words(advice.group), advice is chosen)
        found.setdefault(advice.group.provider, []).append(option)
    return [Options(provider, found[provider]) for provider in sorted(found)]


def _targets(page: Page, report: AdviceReport, chosen: Advice, target: str | None) -> list[Options]:
    """Every model of the provider that has a price, those that are alive first."""
    catalog, source, on = page.services.catalog.current, chosen.group.source, report.last
    asked = catalog.find(target, source.provider) if target else None
    alive: list[Option] = []
    over: list[Option] = []
    for model in catalog.models:
        if not _comparable(model, source) or catalog.price_at(chosen.group.provider, model.id, on) is None:
            continue
        words = model.id if model.id != source.id else f"{model.id} (as now)"
        living = model.lifecycle.alive_on(on)
        option = Option(model.id, words if living else f"{words}: {status_words(model.lifecycle, on)}", model is asked)
        (alive if living else over).append(option)
    lists = (Options("Alive today", alive), Options("Retired or unknown", over))
    return [options for options in lists if options.options]


def _comparable(model: Model, source: Model) -> bool:
    return model.provider == source.provider and model.mode == source.mode and model.served
