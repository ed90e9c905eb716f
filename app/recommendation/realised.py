"""What an accepted advice has brought: cost per request of the same group, before and after, for the same volume."""

from decimal import Decimal

import msgspec

WORKED, BELOW, NO_HELP = "worked", "below estimate", "did not help"
NOT_SWITCHED = "not switched yet"


class Volume(msgspec.Struct, frozen=True):
    """Requests of a group on the model that was left and on the one that was advised, with what they cost."""

    source_requests: int
    source_picousd: int
    target_requests: int
    target_picousd: int

    @property
    def requests(self) -> int:
        """All of them."""
        return self.source_requests + self.target_requests

    @property
    def picousd(self) -> int:
        """Their cost."""
        return self.source_picousd + self.target_picousd


class Realised(msgspec.Struct, frozen=True):
    """`saved_picousd` is (cost per request before - after) x requests after; None where nothing can be said yet.

    So a switch is credited as far as it went, and fewer requests are credited nothing.
    """

    before: Volume
    after: Volume
    expected_picousd: int | None
    saved_picousd: int | None
    verdict: str


def realised(before: Volume, after: Volume, low_per_request: Decimal, floor: int) -> Realised:
    """Judge the days after an accept; `low_per_request` is the low end of the saving that was shown, in pico-dollars.

    Under `floor` requests on either side nothing is said.
    """
    if after.requests and not after.target_requests:
        return Realised(before, after, None, None, NOT_SWITCHED)
    least = min(before.requests, after.requests)
    if least < floor or not before.requests:
        return Realised(before, after, None, None, f"not enough data ({least} of {floor} requests)")
    saved = (before.picousd * after.requests - after.picousd * before.requests) // before.requests
    expected = int(low_per_request * after.requests)
    verdict = NO_HELP if saved <= 0 else WORKED if saved >= expected else BELOW
    return Realised(before, after, expected, saved, verdict)
