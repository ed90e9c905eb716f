"""What the advice engine is told of recorded traffic: groups of requests, cut into slices that are priced alike.

A slice holds sums over its requests. Its usage has `largest_pass_tokens` set to its largest input, so that the sum is
held against long-context thresholds as each single request would be; no slice lies on both sides of a threshold.
"""

from collections.abc import Callable
from datetime import date

import msgspec

from app.catalog.schema import Capabilities, Model
from app.domain import Usage


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """`requests` priced requests of one group with the same answering model, tier, price and capabilities used.

    `most_context` is the largest input plus output of one request. `place` is for whoever reads the rows again.
    """

    requests: int
    usage: Usage
    recorded_picousd: int
    most_input: int
    most_output: int
    most_context: int
    endpoint: str
    response_model: str | None
    service_tier: str | None
    price_entry: str | None
    used: frozenset[str] = frozenset()
    streamed: bool = False
    place: object = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one feature, task, model and prompt length (`long`) within the window.

    `model` is the name that the program writes, `source` the registry's model behind it. The counts of billable and
    failed requests are of both lengths, since a request without usage has none. `top_day_picousd` is the spend of
    the dearest of the `days` distinct days, `span_days` reach from the first of them to the end of the window.
    """

    provider: str
    model: str
    source: Model
    feature: str | None
    task: str | None
    long: bool
    slices: tuple[Slice, ...]
    all_requests: int
    billable: int
    usable: int
    failed: int
    days: int
    span_days: int
    top_day_picousd: int

    @property
    def requests(self) -> int:
        """How many requests are priced here."""
        return sum(part.requests for part in self.slices)

    @property
    def recorded_picousd(self) -> int:
        """What the ledger says they cost."""
        return sum(part.recorded_picousd for part in self.slices)

    @property
    def input_tokens(self) -> int:
        """All input, cached and written included."""
        return sum(part.usage.total_input_tokens for part in self.slices)

    @property
    def output_tokens(self) -> int:
        """All output, reasoning included."""
        return sum(part.usage.output_tokens + part.usage.output_audio_tokens for part in self.slices)

    @property
    def reasoning_tokens(self) -> int:
        """The part of the output that is reasoning."""
        return sum(part.usage.reasoning_tokens for part in self.slices)

    @property
    def used(self) -> frozenset[str]:
        """Every capability that one of the requests used."""
        names: frozenset[str] = frozenset()
        for part in self.slices:
            names |= part.used
            if part.usage.reasoning_tokens:
                names |= {"reasoning"}
            if part.usage.input_audio_tokens or part.usage.output_audio_tokens:
                names |= {"audio"}
            if part.usage.input_image_tokens or part.usage.output_image_tokens:
                names |= {"images"}
        return names


class Bill(msgspec.Struct, frozen=True):
    """What requests cost at one model's prices of today, and how much of that is output.

    Requests that do not fit the model or have no price there are `kept`: at today's price of their own model.
    """

    picousd: int
    output_picousd: int
    moved: int
    kept: int
    entries: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


Pricing = Callable[[Slice, Group, Model | None], Bill]
"""Prices a slice at a model of the same provider, None for its own. Exact to the pico-dollar of each request."""


class Seen(msgspec.Struct, frozen=True):
    """All requests for text of a window, whether advice can be made of them or not.

    `usable` have a price and the provider's own usage; `unknown` are those of them whose model is in no list.
    """

    requests: int = 0
    billable: int = 0
    usable: int = 0
    failed: int = 0
    estimated: int = 0
    unpriced: int = 0
    unknown: int = 0


class Days(msgspec.Struct, frozen=True):
    """The window that advice is about: whole UTC days, both included."""

    first: date
    last: date


def fits(able: Capabilities, input_and_output: int, output: int) -> bool:
    """True if a request of this size is sure to fit: exactly at a limit it does, an unknown limit never does."""
    if able.context_tokens is None or able.max_output_tokens is None:
        return False
    return input_and_output <= able.context_tokens and output <= able.max_output_tokens
