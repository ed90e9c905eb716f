"""What `/api/recommendations` answers about traffic. Money is whole pico-dollars and the same as a dollar string."""

from datetime import date, datetime

import msgspec


class Money(msgspec.Struct):
    """An amount, negative where something costs more."""

    picousd: int
    usd: str


class SavingView(msgspec.Struct):
    """A group at its own model and at a target, at today's prices; `low`, `high`: answers a fifth longer, shorter.

    `kept` requests do not fit the target and are counted at their present price. `break_even_factor`: answers may get
    this many times longer before nothing is saved.
    """

    requests: int
    moved: int
    kept: int
    recorded: Money
    current: Money
    candidate: Money
    saved: Money
    low: Money
    high: Money
    percent: int
    break_even_factor: str | None
    price_entries: tuple[str, ...]


class TargetView(msgspec.Struct):
    """One cheaper model: what it would have cost, what speaks against it, and what to know about the figures."""

    model: str
    ends: date | None
    saving: SavingView | None
    why_not: tuple[str, ...]
    flags: tuple[str, ...]
    notes: tuple[str, ...]


class RetirementView(msgspec.Struct):
    """The group's own model ends; what may take its place and what these requests would have cost there."""

    ends: date
    replacement: str | None
    named_by: str | None
    saving: SavingView | None
    lacks: tuple[str, ...]


class RealisedView(msgspec.Struct):
    """After an accept: (cost per request before - after) x requests after, null where nothing can be said yet."""

    verdict: str
    saved: Money | None
    expected: Money | None
    requests_before: int
    requests_after: int
    switched_requests: int


class DecisionView(msgspec.Struct):
    """The newest decision; Lectr rewrites no model, so an accept is a decision and not a switch."""

    decision: str
    reason: str
    decided_at: datetime
    target: str
    prices_changed: bool
    realised: RealisedView | None


class CardView(msgspec.Struct, kw_only=True):
    """One group of requests and what is advised to it. `advice` null: nothing is, `why_not` says why."""

    id: str
    group: str
    """Names the group of requests, whatever is advised to it; `/api/recommendations/{id}` takes it as well."""
    provider: str
    model: str
    feature: str | None
    task: str | None
    tag_source: str
    prompts: str
    level: str
    reason: str
    requests: int
    days: int
    coverage: str
    cost: Money
    confidence: str | None
    confidence_reasons: tuple[str, ...]
    not_enough_data: tuple[str, ...]
    ranked: bool
    quality: str
    advice: TargetView | None
    saved_per_month: Money | None
    change: str | None
    why_not: list[TargetView]
    retirement: RetirementView | None
    decision: DecisionView | None


class GoneView(msgspec.Struct):
    """An accepted recommendation whose requests have moved on."""

    id: str
    provider: str
    model: str
    feature: str | None
    task: str | None
    decision: DecisionView


class HeadlineView(msgspec.Struct):
    """The ranked advice summed up, one swap for each group."""

    groups: int
    advised: int
    requests: int
    current: Money
    saved: Money
    low: Money
    high: Money


class EndingView(msgspec.Struct, kw_only=True):
    """A model in use that ends, or has ended.

    `compared_requests` of its requests cost `current` at today's prices and would have cost `candidate` on the
    replacement, which `lacks` what some of them used; null where it has no price or fits none of them.
    """

    provider: str
    model: str
    ends: date
    over: bool
    replacement: str | None
    named_by: str | None
    requests: int
    cost: Money
    compared_requests: int
    current: Money | None
    candidate: Money | None
    lacks: tuple[str, ...]


class EstimateView(msgspec.Struct):
    """What another way to pay for the same model would have saved a feature: `caching`, `batch` or `flex`.

    Always an estimate: `low` to `high`, of the `current` cost of these requests. Ways do not add up.
    """

    feature: str | None
    kind: str
    requests: int
    current: Money
    low: Money
    high: Money


class SeenView(msgspec.Struct):
    """All requests for text of these days. `usable` have a price and the provider's own usage, `unknown` no model."""

    requests: int
    billable: int
    usable: int
    failed: int
    estimated: int
    unpriced: int
    unknown: int


class TrafficAdvice(msgspec.Struct):
    """Advice on the team's own requests of whole UTC days, `since` to `until`, both included."""

    since: date
    until: date
    as_of: datetime
    headline: HeadlineView
    recommendations: list[CardView]
    accepted_and_gone: list[GoneView]
    calendar: list[EndingView]
    estimates: list[EstimateView]
    assumptions: tuple[str, ...]
    seen: SeenView
    requests_of_unknown_models: int


class EvidenceRow(msgspec.Struct):
    """One request behind an advice. The differences of all rows sum to the saving, to the pico-dollar."""

    id: str
    started_at: datetime
    cost: Money
    current: Money
    candidate: Money
    difference: Money
    fits: bool


class CardAnswer(msgspec.Struct):
    """One recommendation with some of its requests; `what_if` is the target that was asked about.

    `recommendation` is null where its requests have moved on; then `accepted_and_gone` is what was decided.
    """

    recommendation: CardView | None
    accepted_and_gone: GoneView | None
    what_if: TargetView | None
    requests: list[EvidenceRow]
    next: str | None
