"""How a sample request ends: mostly well, else as requests do end."""

import random

import msgspec

from app.demo.month import HOUR_US
from app.demo.workloads import Workload
from app.domain import Outcome

_OVERLOAD_AGO_US = 9 * 24 * HOUR_US
_OVERLOAD_LASTS_US = HOUR_US * 3 // 4
_OVERLOAD_SHARE = 0.7
_CODES_404 = {"anthropic": "not_found_error", "gemini": "NOT_FOUND"}
_CODES_429 = {"anthropic": "rate_limit_error", "gemini": "RESOURCE_EXHAUSTED", "azure": "429"}
_CODES_500 = {"anthropic": "api_error", "gemini": "INTERNAL", "azure": "500"}
_CODES_400 = {"anthropic": "invalid_request_error", "gemini": "INVALID_ARGUMENT"}


class Fate(msgspec.Struct, frozen=True):
    """The end of one request. `whole`: the answer came to its end; `answered`: the provider sent something."""

    outcome: Outcome
    status: int | None
    error_code: str | None = None
    error_source: str | None = None
    whole: bool = True
    answered: bool = True
    lasts_ms: int | None = None

    @property
    def billable(self) -> bool:
        """True where the provider takes money: answers of 2xx, and those that broke off after them."""
        return self.status is None or 200 <= self.status < 300


_WELL = Fate(Outcome.OK, 200)
_LEFT = Fate(Outcome.CLIENT_CLOSED, 200, error_source="client", whole=False)
_RESET = Fate(Outcome.UPSTREAM_RESET, 200, "provider_bad_response", "provider", whole=False)
_INTERRUPTED = Fate(Outcome.INTERRUPTED, None, whole=False, answered=False, lasts_ms=0)


def _refused(status: int, code: str) -> Fate:
    return Fate(Outcome.PROVIDER_ERROR, status, code, "provider")


def _own(outcome: Outcome, status: int, code: str, lasts_ms: int) -> Fate:
    return Fate(outcome, status, code, "lectr", answered=False, lasts_ms=lasts_ms)


def fate_of(rng: random.Random, workload: Workload, provider: str, at_us: int, now_us: int, *, streamed: bool) -> Fate:
    """Draw the end of a request. Nine days ago Anthropic was overloaded for three quarters of an hour."""
    if workload.always_404:
        return _refused(404, _CODES_404.get(provider, "model_not_found"))
    began = now_us - _OVERLOAD_AGO_US
    if provider == "anthropic" and began <= at_us < began + _OVERLOAD_LASTS_US and rng.random() < _OVERLOAD_SHARE:
        return _refused(529, "overloaded_error")
    drawn = rng.random()
    limit = 0.02 if workload.rhythm == "batch" else 0.004
    if drawn > limit + 0.012:
        return _WELL
    if drawn < limit:
        return _refused(429, _CODES_429.get(provider, "rate_limit_exceeded"))
    return _rare(rng, provider, streamed=streamed)


def _rare(rng: random.Random, provider: str, *, streamed: bool) -> Fate:
    """One of the ends that a hundredth of the requests meet."""
    drawn = rng.random()
    if streamed and drawn < 0.45:
        return _LEFT
    if streamed and drawn < 0.52:
        return _RESET
    if drawn < 0.7:
        return _refused(500, _CODES_500.get(provider, "server_error"))
    if drawn < 0.85:
        return _refused(400, _CODES_400.get(provider, "context_length_exceeded"))
    if drawn < 0.90:
        return _own(Outcome.UPSTREAM_TIMEOUT, 504, "provider_timeout", 900_000)
    if drawn < 0.94:
        return _own(Outcome.UNREACHABLE, 503, "provider_unreachable", 10_000)
    if drawn < 0.995:
        return _own(Outcome.REJECTED, 401, "missing_provider_key", 1)
    return _INTERRUPTED
