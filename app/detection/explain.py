"""The same answer as `detect`, with what every rule tried said, near misses and ambiguity: for people to read."""

from collections.abc import Callable

import msgspec

from app.catalog.catalog import Catalog, normalise
from app.detection.clauses import MAX_NAME_CHARACTERS
from app.detection.detect import DEFAULT_PATH, DEFAULT_PROVIDER, KEY_MISMATCH, Detector, Question, detector_of
from app.domain import Detection, TraceStep


def explain(
    catalog: Catalog,
    *,
    model: str | None,
    path: str = DEFAULT_PATH,
    provider_header: str | None = None,
    key_default: str | None = None,
    provider_key: str | None = None,
) -> Detection:
    """What `detect` answers, with the trace of the rules tried (the last one is `detected_by`), the listed ids
    nearest to a model that is not listed, and all claimants where there are several. Never raises."""
    detector = detector_of(catalog)
    question = Question(
        model=model,
        path=path,
        provider_header=provider_header,
        key_default=key_default,
        provider_key=provider_key,
    )
    answer = detector.detect(question)
    return msgspec.structs.replace(
        answer,
        trace=tuple(_trace(detector, question, answer)),
        near_misses=_near_misses(catalog, question.model),
        ambiguous=_ambiguous(detector, question.model),
    )


def _trace(detector: Detector, question: Question, answer: Detection) -> list[TraceStep]:
    verdict = detector.first_answer(question)
    steps: list[TraceStep] = []
    for rule, tell in _TELLERS:
        steps.append(TraceStep(rule, tell(detector, question)))
        if rule == verdict.rule:
            break
    shape = detector.shapes.of(question.provider_key)
    if KEY_MISMATCH in answer.flags and shape is not None:
        winner, loser = detector.name(shape.provider), detector.name(verdict.provider)
        told = f"{winner}: the key begins with {shape.prefix}, and such a key never goes to {loser}"
        steps.append(TraceStep("key_shape", told))
    return steps


def _header(detector: Detector, question: Question) -> str:
    if not question.provider_header or not question.provider_header.strip():
        return "not sent"
    provider = detector.by_header(question)
    if provider is None:
        # The value itself is not shown: it might be a key that slipped into the wrong header.
        return f"ignored: the value is none of {', '.join(detector.catalog.providers)}"
    return f"{detector.name(provider)}: X-Lectr-Provider names it"


def _key_default(detector: Detector, question: Question) -> str:
    if not question.key_default:
        return "the Lectr key has no default provider"
    provider = detector.by_key_default(question)
    if provider is None:
        return "ignored: the Lectr key's default provider is not in the registry"
    return f"{detector.name(provider)}: the Lectr key's default provider"


def _exact(detector: Detector, question: Question) -> str:
    if not question.model:
        return "no model was named"
    if len(question.model) > MAX_NAME_CHARACTERS:
        return f"not looked up: the name is longer than {MAX_NAME_CHARACTERS} characters"
    found = detector.catalog.find(question.model)
    if found is None:
        return "no model or alias of this name is listed"
    name = normalise(question.model)
    alias = "" if found.id == name else f" under its alias {name}"
    return f"{detector.name(found.provider)}: lists {found.id}{alias}"


def _prefix(detector: Detector, question: Question) -> str:
    if not question.model:
        return "no model was named"
    fits = detector.clauses.fits(normalise(question.model)) if len(question.model) <= MAX_NAME_CHARACTERS else []
    best = next((fit for fit in fits if fit.refused_by is None), None)
    if best is not None:
        others = [fit for fit in fits if fit is not best and fit.refused_by is None]
        rest = "".join(f"; {detector.name(fit.provider)}'s {fit.clause} fits too" for fit in others)
        return f"{detector.name(best.provider)}: {best.clause} fits{rest}"
    refused = "".join(
        f"; {detector.name(fit.provider)}'s {fit.clause} fits, but its never-clause {fit.refused_by} does too"
        for fit in fits
    )
    return f"no prefix or pattern leads to a provider{refused}"


def _endpoint(detector: Detector, question: Question) -> str:
    provider = detector.by_endpoint(question)
    if provider is None:
        return "the path belongs to no one provider"
    return f"{detector.name(provider)}: the path is below /v1/messages"


def _key_shape(detector: Detector, question: Question) -> str:
    if not question.provider_key:
        return "no provider key was sent"
    shape = detector.shapes.of(question.provider_key)
    if shape is None:
        return "the key begins like no provider's keys"
    return f"{detector.name(shape.provider)}: its keys begin with {shape.prefix}"


def _default(detector: Detector, question: Question) -> str:
    return f"{detector.name(DEFAULT_PROVIDER)}: where everything goes that nothing else recognises"


_TELLERS: tuple[tuple[str, Callable[[Detector, Question], str]], ...] = (
    ("header", _header),
    ("key_default", _key_default),
    ("exact", _exact),
    ("prefix", _prefix),
    ("endpoint", _endpoint),
    ("key_shape", _key_shape),
    ("default", _default),
)


def _near_misses(catalog: Catalog, model: str | None) -> tuple[str, ...]:
    if not model or len(model) > MAX_NAME_CHARACTERS or catalog.find(model) is not None:
        return ()
    return catalog.near(model)


def _ambiguous(detector: Detector, model: str | None) -> tuple[str, ...]:
    """All providers that claim the name, where they are several. Only those a name can lead to count."""
    if not model or len(model) > MAX_NAME_CHARACTERS:
        return ()
    claimants = tuple(p for p in detector.catalog.owners(model) if p in detector.clauses.automatic)
    if not claimants:
        fits = detector.clauses.fits(normalise(model))
        claimants = tuple(fit.provider for fit in fits if fit.refused_by is None)
    return claimants if len(claimants) > 1 else ()
