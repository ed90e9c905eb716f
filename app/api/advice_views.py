"""Makes the API's answers about advice of what the engine says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.api.advice_answers import (
    CardView,
    DecisionView,
    EndingView,
    EstimateView,
    EvidenceRow,
    GoneView,
    HeadlineView,
    Money,
    RealisedView,
    RetirementView,
    SavingView,
    SeenView,
    TargetView,
    TrafficAdvice,
)
from app.domain import usd_text
from app.recommendation.advice import QUALITY, Advice, Headline, Verdict
from app.recommendation.cards import FLAGS, assumptions, change_line, monthly_picousd
from app.recommendation.confidence import coverage
from app.recommendation.discounts import FeatureDiscount
from app.recommendation.lifecycles import Ending, Retirement
from app.recommendation.savings import Saving
from app.services import AdviceReport, Card, Decided, PricedRow


def money(picousd: int) -> Money:
    """Both forms of an amount."""
    return Money(picousd, usd_text(picousd))


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1000 / 1000, UTC)


def saving_view(found: Saving) -> SavingView:
    """A saving as the API shows it."""
    return SavingView(
        requests=found.requests,
        moved=found.moved,
        kept=found.kept,
        recorded=money(found.recorded_picousd),
        current=money(found.current_picousd),
        candidate=money(found.candidate_picousd),
        saved=money(found.saved_picousd),
        low=money(found.low_picousd),
        high=money(found.high_picousd),
        percent=found.percent,
        break_even_factor=None if found.break_even is None else f"{found.break_even:f}",
        price_entries=found.entries,
    )


def target_view(verdict: Verdict) -> TargetView:
    """A target as the API shows it."""
    return TargetView(
        model=verdict.target.id,
        ends=verdict.ends,
        saving=None if verdict.saving is None else saving_view(verdict.saving),
        why_not=verdict.why_not,
        flags=verdict.flags,
        notes=tuple(FLAGS.get(flag, flag) for flag in verdict.flags),
    )


def _retirement(found: Retirement | None) -> RetirementView | None:
    if found is None or not found.soon:
        return None
    sums = None if found.saving is None else saving_view(found.saving)
    return RetirementView(found.ends, found.replacement, found.named_by, sums, found.lacks)


def _decision(decided: Decided) -> DecisionView:
    made, brought = decided.decision, decided.realised
    view = None
    if brought is not None:
        saved, expected = brought.saved_picousd, brought.expected_picousd
        view = RealisedView(
            verdict=brought.verdict,
            saved=None if saved is None else money(saved),
            expected=None if expected is None else money(expected),
            requests_before=brought.before.requests,
            requests_after=brought.after.requests,
            switched_requests=brought.after.target_requests,
        )
    when, target = _moment(made.decided_at_us), decided.snapshot.target
    return DecisionView(made.decision, made.reason, when, target, decided.prices_changed, view)


def card_view(policy: Mapping[str, Any], card: Card) -> CardView | None:
    """A card with its advice as the API shows it, None where its requests have moved on."""
    return None if card.advice is None else _live(policy, card.advice, card.decided)


def gone_view(card: Card) -> GoneView | None:
    """A card whose requests have moved on as the API shows it, None where they have not."""
    if card.advice is not None or card.decided is None:
        return None
    told = card.decided.snapshot
    return GoneView(card.id, told.provider, told.model, told.feature, told.task, _decision(card.decided))


def _live(policy: Mapping[str, Any], advice: Advice, decided: Decided | None) -> CardView:
    group, sure, chosen = advice.group, advice.confidence, advice.chosen
    monthly = monthly_picousd(policy, advice)
    return CardView(
        id=advice.id,
        group=advice.group_id,
        provider=group.provider,
        model=group.model,
        feature=group.feature,
        task=group.task,
        tag_source=advice.permission.tag_source,
        prompts="long" if group.long else "short",
        level=advice.permission.level,
        reason=advice.permission.reason,
        requests=group.requests,
        days=group.days,
        coverage=f"{coverage(group):.4f}",
        cost=money(group.recorded_picousd),
        confidence=None if sure is None else sure.level,
        confidence_reasons=() if sure is None else sure.reasons,
        not_enough_data=() if sure is None else sure.missing,
        ranked=advice.ranked,
        quality=QUALITY,
        advice=None if chosen is None else target_view(chosen),
        saved_per_month=None if monthly is None else money(monthly),
        change=None if chosen is None else change_line(group, chosen.target),
        why_not=[target_view(verdict) for verdict in advice.rejected],
        retirement=_retirement(advice.retirement),
        decision=None if decided is None else _decision(decided),
    )


def report_view(policy: Mapping[str, Any], report: AdviceReport, cards: list[Card]) -> TrafficAdvice:
    """A whole report as the API shows it."""
    return TrafficAdvice(
        since=report.first,
        until=report.last,
        as_of=_moment(report.as_of_us),
        headline=_headline(report.headline),
        recommendations=[view for card in cards if (view := card_view(policy, card)) is not None],
        accepted_and_gone=[gone for card in cards if (gone := gone_view(card)) is not None],
        calendar=[_ending(ending) for ending in report.calendar],
        estimates=[_estimate(found) for found in report.discounts],
        assumptions=assumptions(policy),
        seen=SeenView(**msgspec.structs.asdict(report.seen)),
        requests_of_unknown_models=report.seen.unknown,
    )


def _headline(found: Headline) -> HeadlineView:
    amounts = (found.current_picousd, found.saved_picousd, found.low_picousd, found.high_picousd)
    return HeadlineView(found.groups, found.advised, found.requests, *map(money, amounts))


def _ending(found: Ending) -> EndingView:
    compared = found.compared_requests > 0
    return EndingView(
        provider=found.provider,
        model=found.model,
        ends=found.ends,
        over=found.over,
        replacement=found.replacement,
        named_by=found.named_by,
        requests=found.requests,
        cost=money(found.recorded_picousd),
        compared_requests=found.compared_requests,
        current=money(found.current_picousd) if compared else None,
        candidate=money(found.candidate_picousd) if compared else None,
        lacks=found.lacks,
    )


def _estimate(found: FeatureDiscount) -> EstimateView:
    one = found.discount
    amounts = (one.current_picousd, one.low_picousd, one.high_picousd)
    return EstimateView(found.feature, one.kind, one.requests, *map(money, amounts))


def evidence_row(row: PricedRow) -> EvidenceRow:
    """One request as the API shows it."""
    return EvidenceRow(
        id=row.entry.id,
        started_at=_moment(row.entry.started_at_us),
        cost=money(row.entry.cost_picousd or 0),
        current=money(row.current_picousd),
        candidate=money(row.candidate_picousd),
        difference=money(row.current_picousd - row.candidate_picousd),
        fits=row.moved,
    )
