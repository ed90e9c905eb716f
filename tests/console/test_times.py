from datetime import UTC, date, datetime

from app.console import times


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_times_are_shown_in_the_reporting_zone_with_its_name() -> None:
    moment = at("2026-11-22T14:03:21+00:00") + 123_000
    assert times.absolute(moment, "UTC") == "2026-11-22 14:03:21.123 UTC"
    assert times.absolute(moment, "Europe/Berlin") == "2026-11-22 15:03:21.123 CET"
    assert times.short(moment, "Asia/Tokyo") == "22 Nov 23:03:21"
    assert times.iso(moment) == "2026-11-22T14:03:21.123Z"


def test_the_day_turns_at_midnight_of_the_zone() -> None:
    late = at("2026-11-22T23:30:00+00:00")
    assert times.today(late, "UTC") == date(2026, 11, 22)
    assert times.today(late, "Europe/Berlin") == date(2026, 11, 23)
    start = times.day_starts_us(date(2026, 11, 22), "Europe/Berlin")
    assert datetime.fromtimestamp(start / 1e6, UTC) == datetime(2026, 11, 21, 23, tzinfo=UTC)


def test_ages_are_whole_units_and_never_negative() -> None:
    now = at("2026-11-22T12:00:00+00:00")
    ages = [times.ago(now - seconds * 1_000_000, now) for seconds in (-5, 0, 12, 90, 7200, 300_000)]
    assert ages == ["just now", "just now", "12 s ago", "1 min ago", "2 h ago", "3 d ago"]
