"""Which provider a request goes to: seven rules in order, the first that answers wins; then the key is asked.

`detect` is for the request path and keeps no trace; `explain` (explain.py) asks the same Detector and tells
what every rule said.
"""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from app.catalog.catalog import Catalog, normalise
from app.detection.clauses import MAX_NAME_CHARACTERS, Clauses, KeyShape, KeyShapes
from app.domain import Detection

DEFAULT_PROVIDER = "openai"
DEFAULT_PATH = "/v1/chat/completions"
MESSAGES_PATH = "/v1/messages"

OVERRIDE_IGNORED = "override_ignored"
KEY_MISMATCH = "key_mismatch"
PROVIDER_UNKNOWN = "provider_unknown"

KEPT_ANSWERS = 4096
"""A team asks for a few dozen models; whoever sends a new name each time must not fill the memory."""
KEPT_CHARACTERS = 512
"""A path and a header field may have 128 KB, which thousands of answers must not hold."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """All that detection may look at. `provider_key` is the caller's own key; it is never kept or shown."""

    model: str | None
    path: str = DEFAULT_PATH
    provider_header: str | None = None
    key_default: str | None = None
    provider_key: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The first rule that answered, before the key was asked, and the provider it named."""

    rule: str
    provider: str


class Detector:
    """Detection over one catalog. Pure: the same question always gets the same answer; nothing raises."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.clauses = Clauses(catalog.providers.values())
        self.shapes = KeyShapes(catalog.providers)
        self.messages_provider = next(
            (
                provider.id
                for provider in catalog.providers.values()
                if "messages" in provider.endpoints and provider.id in self.clauses.automatic
            ),
            None,
        )
        self._answers: dict[tuple[str | None, str, str | None, str | None, KeyShape | None], Detection] = {}
        self._rules: tuple[tuple[str, Callable[[Question], str | None]], ...] = (
            ("header", self.by_header),
            ("key_default", self.by_key_default),
            ("exact", self.by_exact),
            ("prefix", self.by_prefix),
            ("endpoint", self.by_endpoint),
            ("key_shape", self.by_key_shape),
        )

    def detect(self, question: Question) -> Detection:
        """The provider of a request, the rule and the flags; without trace, near misses and ambiguity."""
        # Of the caller's key nothing but its shape is looked at, and nothing else is kept here.
        shape = self.shapes.of(question.provider_key)
        asked = (question.model, question.path, question.provider_header, question.key_default, shape)
        known = self._answers.get(asked)
        if known is None:
            known = self._detect(question, shape)
            if len(question.path) + len(question.provider_header or "") <= KEPT_CHARACTERS:
                if len(self._answers) >= KEPT_ANSWERS:
                    self._answers.clear()
                self._answers[asked] = known
        return known

    def _detect(self, question: Question, shape: KeyShape | None) -> Detection:
        verdict = self.first_answer(question)
        provider, rule = verdict.provider, verdict.rule
        flags = self._flags(question, verdict, shape)
        if KEY_MISMATCH in flags and shape is not None:
            provider, rule = shape.provider, "key_shape"
        return Detection(provider=provider, detected_by=rule, flags=flags, recognised=rule != "default")

    def first_answer(self, question: Question) -> Verdict:
        """The rules in order, up to the first that names a provider."""
        for rule, ask in self._rules:
            provider = ask(question)
            if provider is not None:
                return Verdict(rule, provider)
        return Verdict("default", DEFAULT_PROVIDER)

    def by_header(self, question: Question) -> str | None:
        """The provider that `X-Lectr-Provider` names, any case; None where it is missing or no provider's id."""
        header = question.provider_header
        return self._known(header.strip().lower()) if header else None

    def by_key_default(self, question: Question) -> str | None:
        """The Lectr key's default provider, if it is still one."""
        return self._known(question.key_default)

    def by_exact(self, question: Question) -> str | None:
        """The provider that lists the model by id or alias."""
        if not question.model or len(question.model) > MAX_NAME_CHARACTERS:
            return None
        model = self.catalog.find(question.model)
        return None if model is None else model.provider

    def by_prefix(self, question: Question) -> str | None:
        """The provider whose clauses fit the model's name best."""
        if not question.model or len(question.model) > MAX_NAME_CHARACTERS:
            return None
        fit = self.clauses.best(normalise(question.model))
        return None if fit is None else fit.provider

    def by_endpoint(self, question: Question) -> str | None:
        """`/v1/messages` and all below it mean Anthropic."""
        path = question.path
        is_messages = path.startswith(MESSAGES_PATH) and path[len(MESSAGES_PATH) :][:1] in ("", "/", "?")
        return self.messages_provider if is_messages else None

    def by_key_shape(self, question: Question) -> str | None:
        """The provider whose keys begin like the caller's."""
        shape = self.shapes.of(question.provider_key)
        return None if shape is None else shape.provider

    def name(self, provider: str) -> str:
        """A provider's name as people write it."""
        known = self.catalog.providers.get(provider)
        return provider if known is None else known.name

    def _known(self, provider: str | None) -> str | None:
        return provider if provider and provider in self.catalog.providers else None

    def _flags(self, question: Question, verdict: Verdict, shape: KeyShape | None) -> tuple[str, ...]:
        header = question.provider_header
        mismatch = shape is not None and shape.certain and shape.provider != verdict.provider
        overruled = header is not None and bool(header.strip()) and (verdict.rule != "header" or mismatch)
        # An `sk-` key says little more than the default does: the model's provider is still unknown.
        guessed = verdict.rule == "key_shape" and bool(question.model) and shape is not None and not shape.certain
        unknown = verdict.rule == "default" or guessed
        if not (mismatch or overruled or unknown):
            return ()
        told = ((KEY_MISMATCH, mismatch), (OVERRIDE_IGNORED, overruled), (PROVIDER_UNKNOWN, unknown))
        return tuple(flag for flag, holds in told if holds)


# A team's override makes a new catalog; the one before may still be in use by requests under way.
@lru_cache(maxsize=4)
def detector_of(catalog: Catalog) -> Detector:
    """The Detector of a catalog, compiled at its first use."""
    return Detector(catalog)


def detect(
    catalog: Catalog,
    *,
    model: str | None,
    path: str = DEFAULT_PATH,
    provider_header: str | None = None,
    key_default: str | None = None,
    provider_key: str | None = None,
) -> Detection:
    """Which provider a request goes to, for the request path. Never raises; a few microseconds."""
    return detector_of(catalog).detect(
        Question(
            model=model,
            path=path,
            provider_header=provider_header,
            key_default=key_default,
            provider_key=provider_key,
        )
    )
