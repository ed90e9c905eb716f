"""What one process counts beside its rows."""

from collections import deque

import msgspec


class Counters(msgspec.Struct):
    """What no row tells: counted since the process started."""

    without_valid_key: int = 0
    unexpected_errors: int = 0
    ledger_unconfirmed: int = 0
    in_flight: int = 0
    overheads_us: deque[int] = msgspec.field(default_factory=lambda: deque(maxlen=10_000))
    """Lectr's own part of the last requests that reached a provider."""

    def overhead_quantiles_us(self) -> tuple[int, int, int] | None:
        """p50, p95 and p99 of `overheads_us`; None before the first request."""
        ordered = sorted(self.overheads_us)
        if not ordered:
            return None
        p50, p95, p99 = (ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99))
        return p50, p95, p99
