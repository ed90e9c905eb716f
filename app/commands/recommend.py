"""`lectr recommend`: advice on the recorded traffic as a table."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import click

from app.commands.running import command, whole
from app.domain import usd_text
from app.recommendation.advice import QUALITY, Advice
from app.recommendation.cards import FLAGS, assumptions, change_line, monthly_picousd, nothing_words
from app.recommendation.discounts import FeatureDiscount
from app.recommendation.lifecycles import Ending
from app.services import AdviceReport, Card

_CENT = 10**10
_MOST_DAYS = 3660


class _Days(click.ParamType[int | date]):
    name = "days"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | date:
        """`30d` as a number of days, YYYY-MM-DD as that day."""
        text = str(value).strip().lower()
        if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit() and 1 <= int(text[:-1]) <= _MOST_DAYS:
            return int(text[:-1])
        try:
            return date.fromisoformat(text)
        except ValueError:
            return self.fail(f"{text[:40]!r}: write days such as 30d, or a day such as 2026-11-01", param, ctx)


@click.command(short_help="Show where a cheaper model could have served.")
@click.option("--since", type=_Days(), default="30d", show_default=True, help="Days back, or the first day (UTC).")
@click.option("--feature", help="Only this feature; `untagged` for none.")
@click.option("--task", help="Only this task; `untagged` for none.")
@click.option("--model", help="Only this model.")
@command
async def recommend(since: int | date, feature: str | None, task: str | None, model: str | None) -> None:
    """Show which requests a cheaper model of the same provider could have served, and what that would have saved."""
    async with whole() as services:
        desk = services.advice
        first = desk.engine.today() - timedelta(days=since - 1) if isinstance(since, int) else since
        whole_report = await desk.engine.report(first)
        report = whole_report.only(feature, task, model)
        cards = await desk.cards(report, gone=report is whole_report)
        lines = _lines(report, cards, services.catalog.current.policy)
    for line in lines:
        click.echo(line)


def _lines(report: AdviceReport, cards: list[Card], policy: Mapping[str, Any]) -> list[str]:
    head = report.headline
    lines = [f"Requests of {report.first} to {report.last} (UTC): {head.groups} groups."]
    if not head.groups:
        return [*lines, nothing_words(report.seen)]
    lines.append(
        f"{head.advised} of them could change model: {_usd(head.saved_picousd)} saved of "
        f"{_usd(head.current_picousd)} ({_range(head.low_picousd, head.high_picousd)}). Quality: {QUALITY}."
    )
    lines += ["", _row("group", "requests", "now", "advice", "saves", "confidence")]
    for card in cards:
        lines += _card_lines(card, policy)
    if report.calendar:
        lines += ["", "Models in use that end:"]
    lines += [_calendar_line(ending, report.days) for ending in report.calendar]
    if report.discounts:
        lines += ["", "Other ways to pay for the same model (estimates; they do not add up):"]
    lines += [_discount_line(found) for found in report.discounts]
    return lines + ([f"  {words}" for words in assumptions(policy)] if report.discounts else [])


def _calendar_line(ending: Ending, days: int) -> str:
    said = f"  {ending.ends}  {ending.provider}/{ending.model}: {ending.requests:,} requests"
    if ending.compared_requests:
        now, then = _usd(ending.current_picousd), _usd(ending.candidate_picousd)
        instead = (
            f"{then} instead of {now}" if ending.candidate_picousd != ending.current_picousd else f"the same, {now}"
        )
        return f"{said}; on {ending.replacement} your last {days} days would have cost {instead}"
    return f"{said}; {ending.replacement or 'nobody'} is named to replace it"


def _discount_line(found: FeatureDiscount) -> str:
    one = found.discount
    saved = _range(one.low_picousd, one.high_picousd) if one.low_picousd else f"up to {_usd(one.high_picousd)}"
    return (
        f"  {found.feature or 'untagged'}: {one.kind} would have saved {saved} "
        f"of {_usd(one.current_picousd)} ({one.requests:,} requests)"
    )


def _card_lines(card: Card, policy: Mapping[str, Any]) -> list[str]:
    decided = "" if card.decided is None else f"{card.decided.decision.decision}ed: {card.decided.decision.reason}"
    if card.decided is not None and card.decided.realised is not None:
        brought = card.decided.realised
        saved = "" if brought.saved_picousd is None else f", {_usd(brought.saved_picousd)} saved since"
        decided += f" ({brought.verdict}{saved})"
    if card.advice is None:
        told = card.decided.snapshot if card.decided else None
        return [f"{told.feature or 'untagged'} {told.model}: no requests any more; {decided}"] if told else []
    return [*_advice_lines(card.advice, policy), *([f"    {decided}"] if decided else [])]


def _advice_lines(advice: Advice, policy: Mapping[str, Any]) -> list[str]:
    group, chosen = advice.group, advice.chosen
    length = "long" if group.long else "short"
    name = f"{group.feature or 'untagged'} / {group.task or 'untagged'} / {group.model} / {length}"
    count, cost = f"{group.requests:,}", _usd(group.recorded_picousd)
    if chosen is None or chosen.saving is None:
        lines = [_row(name, count, cost, "-", "-", "-")]
        lines.append(f"    {advice.permission.reason}")
    else:
        sums, sure = chosen.saving, advice.confidence
        level = "not enough data" if sure is None or sure.level is None else sure.level
        until = f" until {chosen.ends}" if chosen.ends else ""
        saves = f"{_range(sums.low_picousd, sums.high_picousd)} ({sums.percent} %){until}"
        lines = [_row(name, count, cost, chosen.target.id, saves, level)]
        monthly = monthly_picousd(policy, advice)
        lines += [f"    {_usd(monthly)} a month"] if monthly is not None and advice.ranked else []
        lines += [f"    {reason}" for reason in (sure.missing if sure else ())]
        lines += [f"    {FLAGS.get(flag, flag)}" for flag in chosen.flags]
        lines.append(f"    {change_line(group, chosen.target)}")
    if advice.retirement is not None and advice.retirement.soon:
        lines.append(f"    {_ending(advice)}")
    return lines + [f"    not {verdict.target.id}: {'; '.join(verdict.why_not)}" for verdict in advice.rejected]


def _ending(advice: Advice) -> str:
    found = advice.retirement
    if found is None:
        return ""
    said = f"{advice.group.source.id} ends on {found.ends}"
    if found.saving is None:
        return f"{said}; no replacement can be priced"
    lacks = f" (but it {', '.join(found.lacks)})" if found.lacks else ""
    return (
        f"{said}; on {found.replacement} these requests would have cost {_usd(found.saving.candidate_picousd)}{lacks}"
    )


def _row(name: str, *cells: str) -> str:
    requests, cost, target, saves, level = cells
    return f"{name:<58} {requests:>9} {cost:>12}  {target:<22} {saves:<34} {level}".rstrip()


def _usd(picousd: int) -> str:
    """Dollars with cents, and more digits where cents would show nothing."""
    sign = "-" if picousd < 0 else ""
    rounded = (abs(picousd) + _CENT // 2) // _CENT
    if rounded:
        return f"{sign}${rounded // 100:,}.{rounded % 100:02d}"
    return f"{sign}${usd_text(abs(picousd))}"


def _range(low: int, high: int) -> str:
    """Two amounts; one where both read the same."""
    first, last = _usd(low), _usd(high)
    return first if first == last else f"{first} to {last}"
