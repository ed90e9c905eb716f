"""Fixed buckets for request durations, so that histograms of any days and groups can be added up."""

from bisect import bisect_right
from collections.abc import Sequence

DURATION_BOUNDS_MS = (
    *(10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000),
)
"""Bucket n holds durations from bound n-1 (inclusive) to bound n (exclusive), in milliseconds; the last is open."""
BUCKETS = len(DURATION_BOUNDS_MS) + 1


def bucket_of(duration_ms: int) -> int:
    """Number of the bucket a duration falls into."""
    return bisect_right(DURATION_BOUNDS_MS, duration_ms)


def quantile(histogram: Sequence[int], share: float) -> float | None:
    """Duration in ms below which `share` (0..1) of the requests lie, interpolated in its bucket; None if empty."""
    total = sum(histogram)
    if total == 0:
        return None
    wanted = share * total
    seen = 0
    for bucket, count in enumerate(histogram):
        if count and seen + count >= wanted:
            low = DURATION_BOUNDS_MS[bucket - 1] if bucket else 0
            if bucket == len(DURATION_BOUNDS_MS):
                return float(low)
            return low + (DURATION_BOUNDS_MS[bucket] - low) * (wanted - seen) / count
        seen += count
    return float(DURATION_BOUNDS_MS[-1])
