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
    realised: RealisedView | None


class CardView(msgspec.Struct, kw_only=True):
    """One group of requests and what is advised to it. `advice` null: nothing is, `why_not` says why."""

    id: str
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


class EndingView(msgspec.Struct):
    """A model in use that ends, or has ended."""

    provider: str
    model: str
    ends: date
    over: bool
    replacement: str | None
    requests: int
    cost: Money


class TrafficAdvice(msgspec.Struct):
    """Advice on the team's own requests of whole UTC days, `since` to `until`, both included."""

    since: date
    until: date
    as_of: datetime
    headline: HeadlineView
    recommendations: list[CardView]
    accepted_and_gone: list[GoneView]
    calendar: list[EndingView]
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
