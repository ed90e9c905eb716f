"""What is advised on a window of days, all of it, best first."""

from collections.abc import Sequence
from datetime import date

import msgspec

from app.errors import NotFoundError
from app.operations.advice_groups import read_traffic
from app.operations.advice_reading import Window
from app.recommendation.advice import Advice, Headline, advise, headline, ranking
from app.recommendation.discounts import FeatureDiscount, by_feature
from app.recommendation.lifecycles import Ending, calendar
from app.recommendation.traffic import Seen


class AdviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """All advice of a window of whole UTC days, `first` to `last`, both included; best first."""

    as_of_us: int
    first: date
    last: date
    advice: tuple[Advice, ...]
    headline: Headline
    calendar: tuple[Ending, ...]
    discounts: tuple[FeatureDiscount, ...]
    seen: Seen

    @property
    def days(self) -> int:
        """How many days the window has."""
        return (self.last - self.first).days + 1

    def only(self, feature: str | None = None, task: str | None = None, model: str | None = None) -> "AdviceReport":
        """The advice on one feature, task (`untagged` for none) or model, its sums made anew."""
        if (feature, task, model) == (None, None, None):
            return self
        chosen = tuple(
            advice
            for advice in self.advice
            if feature in (None, advice.group.feature or "untagged")
            and task in (None, advice.group.task or "untagged")
            and model in (None, advice.group.model)
        )
        return _report(chosen, self.as_of_us, self.first, self.last, self.seen)

    def find(self, id: str) -> Advice:
        """The advice with this id, or on the group with this id. Raises NotFoundError."""
        for advice in self.advice:
            if id in (advice.id, advice.group_id):
                return advice
        raise NotFoundError(f"there is no recommendation {id[:60]!r} on the traffic of these days")


def make_report(window: Window, first: date, as_of_us: int) -> AdviceReport:
    """The report on a window that begins on the day `first`."""
    traffic = read_traffic(window.reader, window.catalog, window.thresholds, window.long_prompt, window.last)
    price = window.pricer()
    found = [advise(window.catalog, group, price, window.last, price.tier) for group in traffic.groups]
    return _report(sorted(found, key=ranking), as_of_us, first, window.last, traffic.seen)


def _report(found: Sequence[Advice], as_of_us: int, first: date, last: date, seen: Seen) -> AdviceReport:
    return AdviceReport(
        as_of_us=as_of_us,
        first=first,
        last=last,
        advice=tuple(found),
        headline=headline(found),
        calendar=tuple(calendar(((advice.group, advice.retirement) for advice in found), last)),
        discounts=tuple(by_feature((advice.group.feature, advice.discounts) for advice in found)),
        seen=seen,
    )
