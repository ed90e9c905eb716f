"""Estimates: the counters that came, and the rest by length."""

from app.domain import Reply, Usage
from app.metering.usage import estimate_usage, split_usage


def test_without_counters_bytes_and_characters_are_divided_by_four_and_rounded_up() -> None:
    assert estimate_usage(9, Reply(output_characters=5), None) == Usage(input_tokens=3, output_tokens=2)
    assert estimate_usage(0, Reply(), None) == Usage()


def test_a_row_found_interrupted_has_only_input() -> None:
    assert estimate_usage(8, Reply(output_characters=400), None, input_only=True) == Usage(input_tokens=2)


def test_counters_that_came_stand() -> None:
    seen = Usage(cache_read_input_tokens=50, output_tokens=1, reasoning_tokens=1)
    assert estimate_usage(999, Reply(output_characters=400), seen) == Usage(
        cache_read_input_tokens=50, output_tokens=100, reasoning_tokens=1
    )
    later = Usage(input_tokens=7, output_tokens=500)
    assert estimate_usage(999, Reply(output_characters=400), later) == later


def test_what_is_not_counted_in_tokens_is_not_estimated_in_tokens() -> None:
    spoken = Usage(input_characters=12)
    assert estimate_usage(12, Reply(), spoken) == spoken
    assert estimate_usage(12, Reply(), Usage(audio_milliseconds=5)) == Usage(audio_milliseconds=5)


def test_a_broken_reply_is_no_usage_and_raises_nothing() -> None:
    assert split_usage("openai", "chat.completions", Reply(usage=[1])) is None  # type: ignore[arg-type]
