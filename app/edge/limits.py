"""The limits of a key: requests a minute and streams at once. Off until set; kept in memory, per process."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.domain import KeyIdentity
from app.errors import RequestRejected

_MINUTE_S = 60.0


class KeyLimits:
    """Counts by key id. A minute's allowance refills steadily: no wall follows a burst."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._allowance: dict[int, tuple[float, float]] = {}
        self._streams: dict[int, int] = {}

    def take_request(self, key: KeyIdentity) -> None:
        """Count one request. Raises RequestRejected `rate_limit_exceeded` with the seconds to wait."""
        limit = key.requests_per_minute
        if limit is None:
            return
        now = self._monotonic()
        left, at = self._allowance.get(key.id, (float(limit), now))
        left = min(float(limit), left + (now - at) * limit / _MINUTE_S)
        if left < 1.0:
            self._allowance[key.id] = (left, now)
            wait_s = max(1, math.ceil((1.0 - left) * _MINUTE_S / limit))
            raise RequestRejected(
                429,
                "rate_limit_exceeded",
                f"The Lectr key {key.name!r} allows {limit} requests a minute. Try again in {wait_s} s.",
                retry_after_s=wait_s,
            )
        self._allowance[key.id] = (left - 1.0, now)

    @contextmanager
    def stream(self, key: KeyIdentity) -> Iterator[None]:
        """One stream is open while this lasts. Raises RequestRejected `concurrent_streams_exceeded`."""
        limit = key.concurrent_streams
        if limit is None:
            yield
            return
        if self._streams.get(key.id, 0) >= limit:
            raise RequestRejected(
                429,
                "concurrent_streams_exceeded",
                f"The Lectr key {key.name!r} allows {limit} streams at once. Try again when one has ended.",
                retry_after_s=1,
            )
        self._streams[key.id] = self._streams.get(key.id, 0) + 1
        try:
            yield
        finally:
            self._streams[key.id] -= 1
            if not self._streams[key.id]:
                del self._streams[key.id]
