"""Cuts a slice into pieces that are priced by their sums: each row is read once, and serves every target after that.

A piece holds the rows that are billed alike in all that chooses a rate: which buckets they fill, speed and region,
further passes, the side of each price threshold; and that fit, or do not fit, the same models.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import add, attrgetter
from typing import Any, TypeVar

import msgspec

from app.catalog.catalog import Catalog
from app.domain import ExtraPass, Usage
from app.metering.usage import usage_from_json
from app.recommendation.traffic import Slice

Row = tuple[str | None, int]
"""A recorded request: its usage as JSON text, and what it cost in pico-dollars."""
Key = tuple[Any, ...]
T = TypeVar("T")

_INPUTS = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_5m_input_tokens", "cache_write_1h_input_tokens"),
    *("cache_write_12h_input_tokens", "input_audio_tokens", "cache_read_audio_tokens", "input_image_tokens"),
    "cache_read_image_tokens",
)
BUCKETS = (
    *_INPUTS,
    *("output_tokens", "output_audio_tokens", "output_image_tokens"),
    *("web_searches", "input_characters", "audio_milliseconds", "reasoning_tokens"),
)
"""The numbers of a `Usage`, in the order in which pieces sum them."""
_COUNTS = attrgetter(*BUCKETS)
_INPUT_COUNT = len(_INPUTS)
_AFTER_OUTPUT, _REASONING = _INPUT_COUNT + 1, len(BUCKETS) - 1
INPUT_AT, OUTPUT_AT, CONTEXT_AT, SIZE_AT = (len(BUCKETS) + place for place in range(4))
"""Where the counts of a row have, after BUCKETS, its input, its output, both, and its largest pass."""
_COLUMNS = len(BUCKETS) + 4
_PLAIN = ("input_tokens", "cache_read_input_tokens", "cache_write_5m_input_tokens", "output_tokens")
_AT_ONCE = 64
_PATTERN_AT = 3
_BREATH_EVERY = 16
"""After so many rows, about a fifth of a millisecond, whoever waits for the interpreter has it."""


class Edges(msgspec.Struct, frozen=True):
    """Every size at which a price or a fit changes, each sorted: input of a pass, input and output, output."""

    inputs: tuple[int, ...]
    contexts: tuple[int, ...]
    outputs: tuple[int, ...]


class Pieces(msgspec.Struct, frozen=True):
    """A slice by piece; `unread` rows have no usage that can be read again and stay at what they cost."""

    parts: tuple[tuple[Key, Slice], ...]
    unread: int = 0
    unread_picousd: int = 0

    @property
    def requests(self) -> int:
        """How many rows these are."""
        return self.unread + sum(part.requests for _, part in self.parts)

    @property
    def recorded_picousd(self) -> int:
        """What they cost."""
        return self.unread_picousd + sum(part.recorded_picousd for _, part in self.parts)


def edges_of(catalog: Catalog) -> Edges:
    """The thresholds of all prices and the limits of all models."""
    able = [model.capabilities for model in catalog.models]
    sizes = {tier.over_input_tokens for model in catalog.models for price in model.prices for tier in price.tiers}
    return Edges(
        tuple(sorted(sizes)),
        tuple(sorted({limits.context_tokens for limits in able if limits.context_tokens is not None})),
        tuple(sorted({limits.max_output_tokens for limits in able if limits.max_output_tokens is not None})),
    )


def read_row(usage: Usage, edges: Edges) -> tuple[Key, tuple[int, ...]]:
    """The piece that a row belongs to, and its counts: those of BUCKETS, then input, output, both, largest pass."""
    values: tuple[int, ...] = _COUNTS(usage)
    into, out = sum(values[:_INPUT_COUNT]), values[_INPUT_COUNT] + values[_INPUT_COUNT + 1]
    size = into if usage.largest_pass_tokens is None else usage.largest_pass_tokens
    special = usage.modifiers or usage.extra_passes or usage.flags
    key = (
        bisect_left(edges.inputs, size),
        bisect_left(edges.contexts, into + out),
        bisect_left(edges.outputs, out),
        # Which buckets are filled matters where some have no rate; nearly all rows have plain text alone.
        None if into == sum(values[:3]) and not any(values[_AFTER_OUTPUT:_REASONING]) else tuple(map(bool, values)),
        _special(usage, edges.inputs) if special else None,
    )
    return key, (*values, into, out, into + out, size)


def filled(usage: Usage, key: Key, counts: tuple[int, ...]) -> Usage:
    """One like `usage` that shows the rate of every bucket that rows of its piece may fill."""
    if key[_PATTERN_AT] is not None:
        return usage
    least = {name: max(1, getattr(usage, name)) for name in _PLAIN}
    return msgspec.structs.replace(usage, **least, largest_pass_tokens=counts[SIZE_AT])


def _special(usage: Usage, inputs: tuple[int, ...]) -> Key:
    """What else tells bills apart: speed, region, marks, and every further pass by the same measures."""
    own = (usage.flags, *usage.modifiers.items())
    if not usage.extra_passes:
        return own
    passes = (
        (
            extra.model,
            bisect_left(inputs, _size(extra.usage)),
            tuple(map(bool, _COUNTS(extra.usage))),
            *extra.usage.modifiers.items(),
        )
        for extra in usage.extra_passes
    )
    return (*own, *passes)


def _size(usage: Usage) -> int:
    return usage.total_input_tokens if usage.largest_pass_tokens is None else usage.largest_pass_tokens


class _Sums:
    """A piece in the making. Rows wait to be added up many at a time: that costs a tenth of one by one."""

    def __init__(self, first: Usage) -> None:
        self.first = first
        self.requests = 0
        self.sums = [0] * (_COLUMNS + 1)
        self.most = [0] * (_COLUMNS + 1)
        self.waiting: list[tuple[int, ...]] = []
        self.extras = [[0] * len(BUCKETS) for _ in first.extra_passes]

    def add(self, usage: Usage, counts: tuple[int, ...], recorded: int) -> None:
        """One more row."""
        self.waiting.append((*counts, recorded))
        if len(self.waiting) == _AT_ONCE:
            self.settle()
        for number, extra in enumerate(usage.extra_passes):
            self.extras[number] = list(map(add, self.extras[number], _COUNTS(extra.usage)))

    def settle(self) -> None:
        """Add up the rows that wait."""
        if not self.waiting:
            return
        self.requests += len(self.waiting)
        columns = list(zip(*self.waiting, strict=True))
        self.sums = list(map(add, self.sums, map(sum, columns)))
        self.most = list(map(max, self.most, map(max, columns)))
        self.waiting.clear()

    def piece(self, part: Slice) -> Slice:
        """The sums as a slice. Its sizes are those of single rows, so that thresholds are held against them."""
        self.settle()
        extras = tuple(
            ExtraPass(extra.model, _summed(extra.usage, sums, largest_pass_tokens=_size(extra.usage)))
            for extra, sums in zip(self.first.extra_passes, self.extras, strict=True)
        )
        most_input, most_output, most_context, largest = self.most[len(BUCKETS) : _COLUMNS]
        sums = self.sums[: len(BUCKETS)]
        return msgspec.structs.replace(
            part,
            requests=self.requests,
            usage=_summed(self.first, sums, largest_pass_tokens=largest, extra_passes=extras),
            recorded_picousd=self.sums[_COLUMNS],
            most_input=most_input,
            most_output=most_output,
            most_context=most_context,
        )


def _summed(usage: Usage, sums: list[int], **others: Any) -> Usage:
    return msgspec.structs.replace(usage, **dict(zip(BUCKETS, sums, strict=True)), **others)


class Cutter:
    """Takes rows of one slice, in any order, and gives its pieces."""

    def __init__(self, part: Slice, provider: str, edges: Edges) -> None:
        self._part, self._provider, self._edges = part, provider, edges
        self._found: dict[Key, _Sums] = {}
        self._unread = self._unread_picousd = 0

    def take(self, text: str | None, recorded_picousd: int) -> None:
        """One more row."""
        usage = usage_from_json(self._provider, self._part.endpoint, text)
        if usage is None:
            self._unread += 1
            self._unread_picousd += recorded_picousd
            return
        key, counts = read_row(usage, self._edges)
        sums = self._found.get(key)
        if sums is None:
            sums = self._found[key] = _Sums(usage)
        sums.add(usage, counts, recorded_picousd)

    def pieces(self) -> Pieces:
        """All rows so far."""
        parts = tuple((key, sums.piece(self._part)) for key, sums in self._found.items())
        return Pieces(parts, self._unread, self._unread_picousd)


def cut(part: Slice, provider: str, rows: Iterable[Row], edges: Edges) -> Pieces:
    """The rows of a slice summed up by piece. Gives the interpreter away often."""
    cutter = Cutter(part, provider, edges)
    for text, recorded in breathing(rows):
        cutter.take(text, recorded)
    return cutter.pieces()


def breathing(rows: Iterable[T]) -> Iterator[T]:
    """The same, giving whoever waits for the interpreter its turn every few rows."""
    for number, row in enumerate(rows):
        if not number % _BREATH_EVERY:
            time.sleep(0)
        yield row


def merged(some: Iterable[Pieces]) -> Pieces:
    """The pieces of several days as one."""
    parts: list[tuple[Key, Slice]] = []
    unread = unread_picousd = 0
    for pieces in some:
        parts += pieces.parts
        unread += pieces.unread
        unread_picousd += pieces.unread_picousd
    return Pieces(tuple(parts), unread, unread_picousd)
