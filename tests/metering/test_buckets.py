"""A usage object becomes disjoint buckets, whoever wrote it and whatever is wrong with it."""

from typing import Any

import pytest

from app.domain import ExtraPass, Usage
from app.metering.buckets import split
from app.metering.counters import MAX_COUNT


def chat(usage: dict[str, Any], provider: str = "openai", endpoint: str = "chat.completions") -> Usage:
    found = split(provider, endpoint, usage, 0, 0)
    assert found is not None
    return found


def messages(**usage: Any) -> Usage:
    found = split("anthropic", "messages", usage, 0, 0)
    assert found is not None
    return found


def test_cached_written_audio_and_images_are_taken_out_of_the_prompt() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "total_tokens": 1500,
        "prompt_tokens_details": {
            "cached_tokens": 400,
            "cache_write_tokens": 200,
            "audio_tokens": 50,
            "image_tokens": 30,
            "cached_tokens_details": {"audio_tokens": 20, "image_tokens": 25, "text_tokens": 355},
        },
        "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 60, "rejected_prediction_tokens": 9},
    }
    assert chat(usage) == Usage(
        input_tokens=1000 - 400 - 200 - 30 - 5,
        cache_read_input_tokens=355,
        cache_read_audio_tokens=20,
        cache_read_image_tokens=25,
        cache_write_5m_input_tokens=200,
        input_audio_tokens=30,
        input_image_tokens=5,
        output_tokens=440,
        reasoning_tokens=300,
        output_audio_tokens=60,
    )
    assert chat(usage).total_input_tokens == 1000


def test_the_responses_api_counts_alike_under_other_names() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    found = split("openai", "responses", usage, 3, 0)
    assert found == Usage(
        input_tokens=50,
        cache_read_input_tokens=40,
        cache_write_5m_input_tokens=10,
        output_tokens=50,
        reasoning_tokens=30,
        web_searches=3,
    )
    # Azure has answered this endpoint with the other names too.
    assert chat({"prompt_tokens": 5, "completion_tokens": 6}, "azure", "responses") == Usage(
        input_tokens=5, output_tokens=6
    )


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        ({"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 90}, 60, 50),
        ({"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40}, 10, 0),
        ({"prompt_tokens": 30, "completion_tokens": 10}, 10, 0),
        ({"prompt_tokens": 30, "total_tokens": 90}, 60, 60),
        (
            {
                "prompt_tokens": 30,
                "completion_tokens": 10,
                "total_tokens": 90,
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            60,
            50,
        ),
        (
            {
                "prompt_tokens": 30,
                "completion_tokens": 60,
                "total_tokens": 90,
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            60,
            50,
        ),
    ],
)
def test_geminis_thinking_is_found_in_the_total(usage: dict[str, Any], output: int, reasoning: int) -> None:
    found = chat(usage, "gemini")
    assert (found.input_tokens, found.output_tokens, found.reasoning_tokens) == (30, output, reasoning)


def test_only_gemini_hides_output_in_the_total() -> None:
    assert chat({"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 90}, "azure").output_tokens == 10


def test_more_cached_than_prompt_is_clamped_at_zero_and_flagged() -> None:
    found = chat(
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 161}}, "azure"
    )
    assert found == Usage(cache_read_input_tokens=161, output_tokens=1, flags=("usage_clamped",))


@pytest.mark.parametrize(
    ("value", "count", "flags"),
    [
        (7.0, 7, ()),
        ("7", 7, ()),
        ("7.0", 7, ()),
        (6.2, 7, ()),
        (None, 0, ()),
        ("many", 0, ()),
        (True, 0, ()),
        ([7], 0, ()),
        (-7, 0, ("usage_clamped",)),
        (float("nan"), 0, ("usage_clamped",)),
        (float("inf"), MAX_COUNT, ("implausible_usage",)),
        (10**30, MAX_COUNT, ("implausible_usage",)),
        ("1e400", MAX_COUNT, ("implausible_usage",)),
    ],
)
def test_a_count_is_read_however_it_is_written(value: Any, count: int, flags: tuple[str, ...]) -> None:
    found = chat({"prompt_tokens": value, "completion_tokens": 1})
    assert (found.input_tokens, found.flags) == (count, flags)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"cost": 3}, {"usage": {"prompt_tokens": 1}}])
def test_no_counter_is_no_usage(usage: dict[str, Any] | None) -> None:
    assert split("openai", "chat.completions", usage, 0, 0) is None
    assert split("anthropic", "messages", usage, 0, 0) is None


def test_zero_is_a_usage() -> None:
    assert chat({"prompt_tokens": 0, "completion_tokens": 0}) == Usage()


def test_legacy_completions_and_embeddings_may_leave_out_the_completion() -> None:
    assert chat({"prompt_tokens": 11, "total_tokens": 11}, endpoint="completions") == Usage(input_tokens=11)
    assert chat({"prompt_tokens": 11, "total_tokens": 11}, "gemini", "embeddings") == Usage(input_tokens=11)


@pytest.mark.parametrize(
    ("written", "parts", "five", "hour"),
    [
        (100, None, 100, 0),
        (100, {}, 100, 0),
        (100, {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, 100, 0),
        (100, {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 30}, 70, 30),
        (100, {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}, 70, 30),
        (100, {"ephemeral_1h_input_tokens": 30}, 70, 30),
        (None, {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30}, 20, 30),
        (10, {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0}, 10, 0),
    ],
)
def test_the_rest_of_cache_writes_is_at_the_five_minute_rate(
    written: int | None, parts: dict[str, int] | None, five: int, hour: int
) -> None:
    found = messages(
        input_tokens=5,
        cache_read_input_tokens=7,
        output_tokens=3,
        cache_creation_input_tokens=written,
        cache_creation=parts,
    )
    assert (found.cache_write_5m_input_tokens, found.cache_write_1h_input_tokens) == (five, hour)
    assert found.total_input_tokens == 5 + 7 + five + hour
    assert found.flags == ()


def test_anthropics_thinking_searches_speed_and_place_are_read() -> None:
    found = messages(
        input_tokens=5,
        output_tokens=30,
        output_tokens_details={"thinking_tokens": 20},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 9},
        speed="fast",
        inference_geo="us",
    )
    assert (found.output_tokens, found.reasoning_tokens, found.web_searches) == (30, 20, 2)
    assert found.modifiers == {"speed": "fast", "inference_geo": "us"}
    assert messages(input_tokens=5, speed="standard", inference_geo="not_available").modifiers == {}


def test_passes_the_top_level_leaves_out_are_billed_beside_it() -> None:
    found = messages(
        input_tokens=30,
        output_tokens=9,
        speed="fast",
        inference_geo="us",
        iterations=[
            {"type": "message", "input_tokens": 10, "output_tokens": 4},
            {"type": "compaction", "input_tokens": 500, "output_tokens": 50, "cache_creation_input_tokens": 8},
            {"type": "advisor_message", "model": "made-up-opus", "input_tokens": 70, "output_tokens": 7},
            {"type": "message", "input_tokens": 20, "output_tokens": 5},
            "odd",
        ],
    )
    shared = {"speed": "fast", "inference_geo": "us"}
    compaction = Usage(input_tokens=500, output_tokens=50, cache_write_5m_input_tokens=8, modifiers=shared)
    advisor = Usage(input_tokens=70, output_tokens=7, modifiers={"inference_geo": "us"})
    assert found.extra_passes == (ExtraPass(None, compaction), ExtraPass("made-up-opus", advisor))
    assert (found.input_tokens, found.output_tokens, found.largest_pass_tokens) == (30, 9, 20)


def test_a_fallback_bills_the_pass_that_served() -> None:
    found = messages(
        input_tokens=41,
        output_tokens=26,
        iterations=[
            {"type": "message", "model": "made-up-first", "input_tokens": 40, "output_tokens": 0},
            {"type": "fallback_message", "model": "made-up-second", "input_tokens": 41, "output_tokens": 26},
        ],
    )
    assert (found.input_tokens, found.output_tokens, found.extra_passes) == (41, 26, ())


def test_a_kind_of_pass_nobody_knows_is_flagged() -> None:
    assert messages(input_tokens=1, iterations=[{"type": "new", "input_tokens": 5}]).flags == ("unknown_pass",)


def test_images_are_billed_by_text_and_image_tokens() -> None:
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 272,
        "total_tokens": 322,
    }
    assert chat(usage, endpoint="images.generations") == Usage(
        input_tokens=10, input_image_tokens=40, output_image_tokens=272
    )
    usage["output_tokens_details"] = {"text_tokens": 2, "image_tokens": 270}
    found = chat(usage, endpoint="images.generations")
    assert (found.output_tokens, found.output_image_tokens) == (2, 270)


def test_transcriptions_are_billed_by_tokens_or_by_time() -> None:
    tokens = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4, "audio_tokens": 10}}
    found = chat(tokens | {"output_tokens": 45}, endpoint="audio.transcriptions")
    assert found == Usage(input_tokens=4, input_audio_tokens=10, output_tokens=45)
    seconds = {"type": "duration", "seconds": 4.32}
    assert chat(seconds, endpoint="audio.translations") == Usage(audio_milliseconds=4320)
    assert chat(seconds, "groq", "audio.transcriptions") == Usage(audio_milliseconds=10_000)
    assert chat({"seconds": 12}, "groq", "audio.transcriptions") == Usage(audio_milliseconds=12_000)


def test_speech_is_billed_by_the_characters_of_the_request_unless_it_counts_itself() -> None:
    assert split("openai", "audio.speech", None, 0, 12) == Usage(input_characters=12)
    assert split("openai", "audio.speech", {"input_tokens": 3, "output_tokens": 90}, 0, 12) == Usage(
        input_tokens=3, output_tokens=90
    )
    assert split("openai", "chat.completions", None, 0, 12) is None


def test_groqs_times_are_no_counters() -> None:
    usage = {"queue_time": 0.1, "prompt_tokens": 20, "prompt_time": 0.01, "completion_tokens": 4, "total_time": 0.02}
    assert chat(usage, "groq") == Usage(input_tokens=20, output_tokens=4)
