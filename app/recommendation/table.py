"""The product's fixed table of downgrades with what is true of each row on a day, and the tables beside it."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from app.catalog.catalog import Catalog
from app.catalog.schema import Capabilities, Downgrades, Lifecycle, Model, Price

NO_DOWNGRADE = "—"
COMPARED = {"input": "input_mtok", "output": "output_mtok", "cached": "cache_read_mtok"}

_FEATURES = {
    "tools": "tools",
    "parallel_tools": "parallel tools",
    "json_mode": "JSON mode",
    "json_schema": "structured output",
    "images": "image input",
    "audio": "audio input",
    "reasoning": "reasoning",
}
_LIMITS = {"context_tokens": "context", "max_output_tokens": "max output"}


class Comparison(msgspec.Struct, frozen=True):
    """One source against one target by list price on a day.

    Percentages are the target's price against the source's (-94 = 94 % cheaper), None where one has no such rate.
    `lost` names what the source can and the target cannot, or is not known to.
    """

    target: str
    level: str
    input_percent: Decimal | None
    output_percent: Decimal | None
    cached_percent: Decimal | None
    target_status: str
    target_alive: bool
    lost: tuple[str, ...]
    flags: tuple[str, ...]


class TableRow(msgspec.Struct, frozen=True):
    """One model of a table: its downgrades by bare id, the words that show them, and what is true on the day."""

    provider: str
    model: str
    conservative: str | None
    aggressive: str | None
    words: str
    source_status: str
    source_alive: bool
    comparisons: tuple[Comparison, ...]
    moderate: str | None = None


class TaskLevel(msgspec.Struct, frozen=True):
    """How far down a task may go with short and with long prompts, and why."""

    task: str
    short: str
    long: str
    reason: str


def listed_table(catalog: Catalog, on: date) -> list[TableRow]:
    """The 26 listed models in the product's order, with what is true of each downgrade on a day."""
    order = {name: place for place, name in enumerate(catalog.policy.get("listed_order", ()))}
    models = sorted(
        (model for model in catalog.models if model.routing_target),
        key=lambda model: (order.get(model.id, len(order)), model.id),
    )
    return [_row(catalog, model, model.listed, on) for model in models]


def living_table(catalog: Catalog, on: date) -> list[TableRow]:
    """Today's models with a downgrade among today's models, in catalog order; only those alive on the day."""
    return [
        _row(catalog, model, model.living, on)
        for model in catalog.models
        if model.living is not None and model.lifecycle.alive_on(on)
    ]


def task_table(catalog: Catalog) -> list[TaskLevel]:
    """The policy's table of task and prompt length, in its order."""
    rows: list[Mapping[str, str]] = list(catalog.policy.get("task", ()))
    return [TaskLevel(row["name"], row["short"], row["long"], row["reason"]) for row in rows]


def status_words(lifecycle: Lifecycle, on: date) -> str:
    """`alive`, `alive until DATE`, `retired`, `retired on DATE` or `unknown`, as of a day."""
    if lifecycle.ends is not None:
        return f"alive until {lifecycle.ends}" if lifecycle.alive_on(on) else f"retired on {lifecycle.ends}"
    return "alive" if lifecycle.alive_on(on) else lifecycle.status


def lost_capabilities(source: Capabilities, target: Capabilities) -> tuple[str, ...]:
    """What `source` can and `target` cannot, or is not known to. Limits are named with both numbers."""
    lost = [
        name
        for field, name in _FEATURES.items()
        if getattr(source, field) is True and getattr(target, field) is not True and _comparable(source, target, field)
    ]
    for field, name in _LIMITS.items():
        before, after = getattr(source, field), getattr(target, field)
        if before is not None and (after is None or after < before):
            lost.append(f"{name} {before:,} → {'unknown' if after is None else f'{after:,}'}")
    return tuple(lost)


def _comparable(source: Capabilities, target: Capabilities, field: str) -> bool:
    """Parallel tool calls go with tools: where tools are lost already they are not named again."""
    return field != "parallel_tools" or (source.tools is True and target.tools is True)


def _row(catalog: Catalog, model: Model, downgrades: Downgrades | None, on: date) -> TableRow:
    chosen = downgrades or Downgrades()
    levels: dict[str, str] = {}
    for level in ("conservative", "moderate", "aggressive"):
        target = getattr(chosen, level)
        if target is not None and target not in levels:
            levels[target] = level
    return TableRow(
        provider=model.provider,
        model=model.id,
        conservative=chosen.conservative,
        aggressive=chosen.aggressive,
        words=_words(levels),
        source_status=status_words(model.lifecycle, on),
        source_alive=model.lifecycle.alive_on(on),
        comparisons=tuple(_compare(catalog, model, target, level, on) for target, level in levels.items()),
        moderate=chosen.moderate,
    )


def _words(levels: Mapping[str, str]) -> str:
    if not levels:
        return NO_DOWNGRADE
    if len(levels) == 1:
        return f"Downgrade → {next(iter(levels))}"
    return "Downgrade → " + " or ".join(f"{target} ({level})" for target, level in levels.items())


def _compare(catalog: Catalog, source: Model, target_id: str, level: str, on: date) -> Comparison:
    target = catalog.find(target_id, source.provider)
    if target is None:
        return Comparison(target_id, level, None, None, None, "unknown", False, (), ("target_unknown",))
    before = catalog.price_at(source.provider, source.id, on)
    after = catalog.price_at(source.provider, target_id, on)
    percent = {
        name: _percent(before.price if before else None, after.price if after else None, unit)
        for name, unit in COMPARED.items()
    }
    alive = target.lifecycle.alive_on(on)
    lost = lost_capabilities(source.capabilities, target.capabilities)
    return Comparison(
        target=target_id,
        level=level,
        input_percent=percent["input"],
        output_percent=percent["output"],
        cached_percent=percent["cached"],
        target_status=status_words(target.lifecycle, on),
        target_alive=alive,
        lost=lost,
        flags=_flags(
            percent,
            before.price if before else None,
            after.price if after else None,
            source.capabilities.context_tokens,
            alive=alive,
            lost=lost,
        ),
    )


def _flags(
    percent: Mapping[str, Decimal | None],
    before: Price | None,
    after: Price | None,
    longest: int | None,
    *,
    alive: bool,
    lost: tuple[str, ...],
) -> tuple[str, ...]:
    cached = percent["cached"]
    facts: dict[str, bool] = {
        "saves": _both(percent, lambda value: value < 0),
        "costs_more": any(value is not None and value > 0 for value in (percent["input"], percent["output"])),
        "costs_more_over_threshold": before is not None
        and after is not None
        and _dearer_when_long(before, after, longest),
        "unpriced": before is None or after is None,
        "target_retired": not alive,
        "capability_lost": bool(lost),
        "cached_dearer": cached is not None and cached > 0,
    }
    return tuple(name for name, holds in facts.items() if holds)


def _both(percent: Mapping[str, Decimal | None], holds: Callable[[Decimal], bool]) -> bool:
    return all(value is not None and holds(value) for value in (percent["input"], percent["output"]))


def _percent(before: Price | None, after: Price | None, unit: str) -> Decimal | None:
    if before is None or after is None:
        return None
    old, new = before.rates.get(unit), after.rates.get(unit)
    if not old or new is None:
        return None
    return ((new - old) * 100 / old).quantize(Decimal(1), rounding=ROUND_HALF_UP)


def _dearer_when_long(before: Price, after: Price, longest: int | None) -> bool:
    """True if the target costs more beyond its context threshold, as far as the source's context reaches."""
    for tier in after.tiers:
        if longest is not None and tier.over_input_tokens >= longest:
            break
        old = before.rates
        for other in before.tiers:
            if other.over_input_tokens <= tier.over_input_tokens:
                old = other.rates
        if any(tier.rates.get(unit, Decimal(0)) > old.get(unit, Decimal(0)) for unit in ("input_mtok", "output_mtok")):
            return True
    return False
