"""One target against one group as the pages show it: figures, the prices they are made of, and links to the rows."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from urllib.parse import quote, urlencode

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.policy import threshold
from app.catalog.schema import Price
from app.console.figures import rate
from app.recommendation.advice import Verdict
from app.recommendation.cards import FLAGS, change_line
from app.recommendation.traffic import Group

_RATES = {"input": "input_mtok", "cached": "cache_read_mtok", "written": "cache_write_mtok", "output": "output_mtok"}
PAGE = "/recommendations"


class PriceLine(msgspec.Struct, frozen=True):
    """One price entry behind a figure; `rates` are dollars per million tokens in words, None where it is gone."""

    entry: str
    model: str | None
    rates: str | None
    starts: date | None
    checked: date | None
    source: str


class Figures(msgspec.Struct, frozen=True):
    """What one target would have cost a group. `saving` of the verdict is None where that cannot be said."""

    group: Group
    verdict: Verdict
    notes: list[str]
    change: str
    prices: list[PriceLine]
    evidence_url: str
    requests_url: str

    @property
    def percent(self) -> int:
        """How much more or less, without its sign."""
        return abs(self.verdict.saving.percent) if self.verdict.saving else 0


def figures(catalog: Catalog, group: Group, verdict: Verdict, id: str, target: str | None = None) -> Figures:
    """The figures of a recommendation, or with `target` of a what-if on the group `id`."""
    notes = [FLAGS.get(flag, flag) for flag in verdict.flags]
    if verdict.ends is not None:
        days = threshold(catalog.policy, "ends_within_days")
        notes.append(f"saves until {verdict.ends}: the target ends within {days} days")
    entries = () if verdict.saving is None else verdict.saving.entries
    return Figures(
        group=group,
        verdict=verdict,
        notes=notes,
        change=change_line(group, verdict.target),
        prices=[price_line(catalog, entry) for entry in entries],
        evidence_url=evidence_url(id, target),
        requests_url=requests_url(group),
    )


def evidence_url(id: str, target: str | None = None, **more: str) -> str:
    """The page with the requests behind a figure."""
    query = ({"target": target} if target else {}) | more
    return f"{PAGE}/{quote(id, safe='')}" + (f"?{urlencode(query)}" if query else "")


def requests_url(group: Group) -> str:
    """The request list of this group's feature, task and model; it does not know prompt lengths."""
    asked = {
        "range": "30d",
        "provider": group.provider,
        "model": group.model,
        "feature": group.feature or "untagged",
        "task": group.task or "untagged",
    }
    return f"/requests?{urlencode(asked)}"


def price_line(catalog: Catalog, entry: str) -> PriceLine:
    """A price entry in words, by its name."""
    for model in catalog.models:
        for price in model.prices:
            if price.entry == entry:
                return PriceLine(entry, model.id, _words(price), price.starts, price.checked, price.source)
    return PriceLine(entry, None, None, None, None, "")


def _words(price: Price) -> str:
    text = _rates(price.rates)
    for tier in price.tiers:
        text += f"; over {tier.over_input_tokens:,} tokens {_rates(tier.rates)}"
    return text


def _rates(rates: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{name} {rate(rates[unit])}" for name, unit in _RATES.items() if unit in rates)


def group_words(group: Group) -> str:
    """A group in one line, for lists to choose from."""
    length = "long" if group.long else "short"
    return f"{group.feature or 'untagged'} · {group.task or 'untagged'} · {group.model} · {length} prompts"
